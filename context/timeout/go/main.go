// Three tasks of ten steps share a deadline that comes before their end.
package main

import (
	"context"
	"fmt"
	"time"
)

func longRunningTask(ctx context.Context, id int) error {
	fmt.Printf("Task %d: Starting\n", id)
	for step := 1; step <= 10; step++ {
		select {
		case <-ctx.Done():
			fmt.Printf("Task %d: Cancelled due to %v\n", id, ctx.Err())
			return ctx.Err()
		default:
			fmt.Printf("Task %d: Step %d\n", id, step)
			time.Sleep(300 * time.Millisecond)
		}
	}
	fmt.Printf("Task %d: Completed successfully\n", id)
	return nil
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for id := 1; id <= 3; id++ {
		go func() {
			if err := longRunningTask(ctx, id); err != nil {
				fmt.Printf("Task %d failed: %v\n", id, err)
			}
		}()
	}

	<-ctx.Done()
	fmt.Printf("Context cancelled: %v\n", ctx.Err())
	time.Sleep(500 * time.Millisecond) // the tasks notice up to 300 ms late
}
