// Ten tasks, three at once; each gives its result or its error, and main counts both.
package main

import (
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"time"
)

type TaskResult struct {
	ID     int
	Result string
	Err    error
}

func process(id int) TaskResult {
	if rand.Float32() < 0.3 {
		return TaskResult{ID: id, Err: errors.New("random processing error")}
	}
	time.Sleep(time.Duration(rand.Intn(500)) * time.Millisecond)
	return TaskResult{ID: id, Result: fmt.Sprintf("Processed: task-%d", id)}
}

func main() {
	tasks, results := make(chan int, 10), make(chan TaskResult, 10)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for id := range tasks {
				results <- process(id) // a panic in here ends the whole program
			}
		})
	}
	for id := 1; id <= 10; id++ {
		tasks <- id
	}
	close(tasks)
	go func() { wg.Wait(); close(results) }()

	succeeded, failed := 0, 0
	for r := range results {
		if r.Err != nil {
			fmt.Printf("Task %d failed: %v\n", r.ID, r.Err)
			failed++
		} else {
			fmt.Printf("Task %d succeeded: %s\n", r.ID, r.Result)
			succeeded++
		}
	}
	fmt.Printf("\nSummary: %d successful, %d failed\n", succeeded, failed)
}
