// Three goroutines receive from one channel, and their outputs are merged into one.
package main

import (
	"fmt"
	"math/rand"
	"sync"
	"time"
)

func fanOut(input <-chan int, workers int) []<-chan int {
	outputs := make([]<-chan int, workers)
	for i := range outputs {
		out := make(chan int)
		outputs[i] = out
		go func() {
			defer close(out)
			for n := range input {
				time.Sleep(time.Duration(rand.Intn(500)) * time.Millisecond)
				fmt.Printf("Worker processed %d -> %d\n", n, n*n)
				out <- n * n
			}
		}()
	}
	return outputs
}

func fanIn(inputs ...<-chan int) <-chan int {
	output := make(chan int)
	var wg sync.WaitGroup
	for _, input := range inputs {
		wg.Go(func() {
			for value := range input {
				output <- value
			}
		})
	}
	go func() {
		wg.Wait()
		close(output)
	}()
	return output
}

func main() {
	input := make(chan int)
	go func() {
		defer close(input)
		for n := 1; n <= 10; n++ {
			input <- n
			time.Sleep(100 * time.Millisecond)
		}
	}()

	fmt.Println("\nFinal results:")
	for result := range fanIn(fanOut(input, 3)...) {
		fmt.Printf("Final result: %d\n", result)
	}
}
