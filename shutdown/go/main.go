// Ctrl-C or SIGTERM asks three workers to stop, and main waits for them, 5 s at most.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func worker(ctx context.Context, id int) {
	fmt.Printf("Worker worker-%d starting\n", id)
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			fmt.Printf("Worker worker-%d shutting down gracefully\n", id)
			return
		case <-ticker.C:
			fmt.Printf("Worker worker-%d: tick\n", id)
		}
	}
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	fmt.Println("Server starting...")
	for id := 1; id <= 3; id++ {
		workers.Go(func() { worker(ctx, id) })
	}
	fmt.Println("All workers started")

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	fmt.Printf("\nReceived signal: %v\n", <-signals)

	fmt.Println("Server shutting down...")
	cancel()
	done := make(chan struct{})
	go func() { workers.Wait(); close(done) }()
	select {
	case <-done:
		fmt.Println("All workers stopped gracefully")
	case <-time.After(5 * time.Second):
		fmt.Println("Shutdown timeout, forcing exit")
	}
	fmt.Println("Server stopped")
}
