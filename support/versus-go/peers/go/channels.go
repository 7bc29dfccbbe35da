package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"time"
)

const capacity = 64

// channel sends n numbers through one channel, one operation an item.
func channel(n int) (time.Duration, uint64) {
	return timed(func() uint64 {
		items := make(chan uint64, capacity)
		go func() {
			defer close(items)
			for i := range n {
				items <- uint64(i)
			}
		}()
		var sum uint64
		for item := range items {
			sum += item
		}
		return sum
	})
}

// channelDraining is the same, but the receiver takes what is ready without blocking in between.
func channelDraining(n int) (time.Duration, uint64) {
	return timed(func() uint64 {
		items := make(chan uint64, capacity)
		go func() {
			defer close(items)
			for i := range n {
				items <- uint64(i)
			}
		}()
		var sum uint64
		drain(items, func(item uint64) { sum += item })
		return sum
	})
}

// drain gives each item to use: it blocks for the first, then takes all that is ready.
func drain[T any](items <-chan T, use func(T)) {
	for item := range items {
		use(item)
		for ready := true; ready; {
			select {
			case item, open := <-items:
				if !open {
					return
				}
				use(item)
			default:
				ready = false
			}
		}
	}
}

// stage is one stage of a pipeline: it sends on what work makes of each item, if it keeps it.
func stage(in <-chan int64, work func(int64) (int64, bool)) <-chan int64 {
	out := make(chan int64, capacity)
	go func() {
		defer close(out)
		for item := range in {
			if result, keep := work(item); keep {
				out <- result
			}
		}
	}()
	return out
}

func stageDraining(in <-chan int64, work func(int64) (int64, bool)) <-chan int64 {
	out := make(chan int64, capacity)
	go func() {
		defer close(out)
		drain(in, func(item int64) {
			if result, keep := work(item); keep {
				out <- result
			}
		})
	}()
	return out
}

func generate(n int) <-chan int64 {
	out := make(chan int64, capacity)
	go func() {
		defer close(out)
		for i := range n {
			out <- int64(i)
		}
	}()
	return out
}

func square(n int64) (int64, bool)     { return n * n, true }
func addTen(n int64) (int64, bool)     { return n + 10, true }
func filterEven(n int64) (int64, bool) { return n, n%2 == 0 }

// pipeline is the chapter's: generate, square, add 10, keep the even ones.
func pipeline(n int) (time.Duration, uint64) {
	return timed(func() uint64 {
		var sum uint64
		for result := range stage(stage(stage(generate(n), square), addTen), filterEven) {
			sum += uint64(result)
		}
		return sum
	})
}

func pipelineDraining(n int) (time.Duration, uint64) {
	return timed(func() uint64 {
		results := stageDraining(stageDraining(stageDraining(generate(n), square), addTen), filterEven)
		var sum uint64
		drain(results, func(result int64) { sum += uint64(result) })
		return sum
	})
}

// pipelineChunks hands over slices of up to 1,024 numbers.
func pipelineChunks(n int) (time.Duration, uint64) {
	return timed(func() uint64 {
		var sum uint64
		for chunk := range chunks(chunks(chunks(generateChunks(n), square), addTen), filterEven) {
			for _, result := range chunk {
				sum += uint64(result)
			}
		}
		return sum
	})
}

// generateChunks sends the numbers below n in slices of up to 1,024.
func generateChunks(n int) <-chan []int64 {
	const size = 1024
	out := make(chan []int64, 1)
	go func() {
		defer close(out)
		for first := 0; first < n; first += size {
			chunk := make([]int64, 0, size)
			for i := first; i < min(first+size, n); i++ {
				chunk = append(chunk, int64(i))
			}
			out <- chunk
		}
	}()
	return out
}

func chunks(in <-chan []int64, work func(int64) (int64, bool)) <-chan []int64 {
	out := make(chan []int64, 1)
	go func() {
		defer close(out)
		for chunk := range in {
			results := chunk[:0]
			for _, item := range chunk {
				if result, keep := work(item); keep {
					results = append(results, result)
				}
			}
			out <- results
		}
	}()
	return out
}

// stdinPipeline reads numbers from stdin, one a line, and prints the results of the pipeline.
func stdinPipeline(int) (time.Duration, uint64) {
	return timed(func() uint64 {
		source := make(chan int64, capacity)
		go func() {
			defer close(source)
			lines := bufio.NewScanner(os.Stdin)
			for lines.Scan() {
				number, err := strconv.ParseInt(lines.Text(), 10, 64)
				if err != nil {
					fail(err.Error())
				}
				source <- number
			}
		}()
		out := bufio.NewWriter(os.Stdout)
		defer out.Flush()
		fmt.Fprintln(out, "Pipeline results:")
		var sum uint64
		for result := range stage(stage(stage(source, square), addTen), filterEven) {
			fmt.Fprintf(out, "Result: %d\n", result)
			sum += uint64(result)
		}
		return sum
	})
}
