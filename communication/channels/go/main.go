// Three workers share one channel of jobs and answer on one channel of results.
package main

import (
	"fmt"
	"time"
)

func worker(id int, jobs <-chan int, results chan<- int) {
	for job := range jobs {
		fmt.Printf("Worker %d processing job %d\n", id, job)
		time.Sleep(100 * time.Millisecond)
		results <- job * 2
	}
}

func main() {
	jobs := make(chan int, 5)
	results := make(chan int, 5)
	for id := 1; id <= 3; id++ {
		go worker(id, jobs, results)
	}

	for job := 1; job <= 5; job++ {
		jobs <- job
	}
	close(jobs)

	for range 5 { // nobody closes results, so main has to count
		fmt.Printf("Result: %d\n", <-results)
	}
}
