// A thousand waits of 10 ms: a goroutine each, then ten goroutines for all.
package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

func unlimited(tasks []int) {
	start := time.Now()
	var wg sync.WaitGroup
	for range tasks {
		wg.Go(func() { time.Sleep(10 * time.Millisecond) })
	}
	wg.Wait()
	// Read after the wait, when no worker is left: this is not the peak.
	fmt.Printf("Unlimited goroutines: %v, Peak goroutines: %d\n",
		time.Since(start), runtime.NumGoroutine())
}

func limited(tasks []int, workers int) {
	start := time.Now()
	queue := make(chan int, len(tasks))
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range queue {
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	for _, task := range tasks {
		queue <- task
	}
	close(queue)
	wg.Wait()
	fmt.Printf("Limited pool (%d workers): %v, Peak goroutines: %d\n",
		workers, time.Since(start), runtime.NumGoroutine())
}

func main() {
	tasks := make([]int, 1000)
	fmt.Printf("Initial goroutines: %d\n", runtime.NumGoroutine())
	unlimited(tasks)
	limited(tasks, 10)
	fmt.Printf("Final goroutines: %d\n", runtime.NumGoroutine())
}
