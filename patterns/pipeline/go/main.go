// Generate, square, add ten, keep the even numbers: each stage is a goroutine.
package main

import (
	"fmt"
	"time"
)

func generate(numbers ...int) <-chan int {
	out := make(chan int)
	go func() {
		defer close(out)
		for _, n := range numbers {
			out <- n // if nobody receives, the stage waits here for ever
		}
	}()
	return out
}

func stage(in <-chan int, pause time.Duration, work func(int) (int, bool)) <-chan int {
	out := make(chan int)
	go func() {
		defer close(out)
		for n := range in {
			if result, ok := work(n); ok {
				out <- result
			}
			time.Sleep(pause)
		}
	}()
	return out
}

func main() {
	numbers := generate(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	squared := stage(numbers, 100*time.Millisecond, func(n int) (int, bool) { return n * n, true })
	added := stage(squared, 50*time.Millisecond, func(n int) (int, bool) { return n + 10, true })
	even := stage(added, 0, func(n int) (int, bool) { return n, n%2 == 0 })

	fmt.Println("Pipeline results:")
	for result := range even {
		fmt.Printf("Result: %d\n", result)
	}
}
