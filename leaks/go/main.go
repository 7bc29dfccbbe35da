// A goroutine that waits for ever, and two ways not to leave one behind.
package main

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

func badExample() { // leaks: nobody ever receives
	ch := make(chan int)
	go func() { ch <- 42 }()
}

func goodExample() { // a buffer of 1: the send never waits
	ch := make(chan int, 1)
	go func() { ch <- 42 }()
	select {
	case value := <-ch:
		fmt.Printf("Received: %d\n", value)
	case <-time.After(time.Second):
		fmt.Println("Timeout")
	}
}

func bestExample() { // both sides end with the context
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	ch := make(chan int)
	go func() {
		select {
		case ch <- 42:
			fmt.Println("Sent value")
		case <-ctx.Done():
			fmt.Println("Goroutine cancelled")
		}
	}()
	select {
	case value := <-ch:
		fmt.Printf("Received: %d\n", value)
	case <-ctx.Done():
		fmt.Printf("Context cancelled: %v\n", ctx.Err())
	}
}

func count(label string) {
	time.Sleep(100 * time.Millisecond)
	fmt.Printf("%s: %d goroutines\n", label, runtime.NumGoroutine())
}

func main() {
	count("Start")
	badExample()
	count("After bad example")
	goodExample()
	count("After good example")
	bestExample()
	count("After best example")
	runtime.GC()
	count("After GC") // the collector does not end a goroutine that waits
}
