// Three workers work until one call cancels them all.
package main

import (
	"context"
	"fmt"
	"time"
)

func worker(ctx context.Context, id int) {
	for {
		select {
		case <-ctx.Done():
			fmt.Printf("Worker %d: Received cancellation signal\n", id)
			return
		default:
			fmt.Printf("Worker %d: Working...\n", id)
			time.Sleep(500 * time.Millisecond) // does not see the signal meanwhile
		}
	}
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	for id := 1; id <= 3; id++ {
		go worker(ctx, id)
	}

	time.Sleep(1750 * time.Millisecond)
	fmt.Println("Cancelling workers...")
	cancel()

	time.Sleep(time.Second) // time for the clean-up
	fmt.Println("Main function ending")
}
