package main

import (
	"sync"
	"time"
)

// fan squares n numbers in workers goroutines that share one input, and merges their outputs.
func fan(workers int) row {
	return func(n int) (time.Duration, uint64) {
		return timed(func() uint64 {
			var sum uint64
			for result := range merge(spread(generate(n), workers, stage)) {
				sum += uint64(result)
			}
			return sum
		})
	}
}

func fanDraining(workers int) row {
	return func(n int) (time.Duration, uint64) {
		return timed(func() uint64 {
			var sum uint64
			results := merge(spread(generate(n), workers, stageDraining))
			drain(results, func(result int64) { sum += uint64(result) })
			return sum
		})
	}
}

type startStage func(<-chan int64, func(int64) (int64, bool)) <-chan int64

func spread(input <-chan int64, workers int, start startStage) []<-chan int64 {
	outputs := make([]<-chan int64, workers)
	for i := range outputs {
		outputs[i] = start(input, square)
	}
	return outputs
}

func merge[T any](inputs []<-chan T) <-chan T {
	output := make(chan T, capacity)
	var wg sync.WaitGroup
	for _, input := range inputs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for value := range input {
				output <- value
			}
		}()
	}
	go func() {
		wg.Wait()
		close(output)
	}()
	return output
}

// fanChunks does the same with slices of up to 1,024 numbers.
func fanChunks(workers int) row {
	return func(n int) (time.Duration, uint64) {
		return timed(func() uint64 {
			source := generateChunks(n)
			outputs := make([]<-chan []int64, workers)
			for i := range outputs {
				outputs[i] = chunks(source, square)
			}
			var sum uint64
			for chunk := range merge(outputs) {
				for _, result := range chunk {
					sum += uint64(result)
				}
			}
			return sum
		})
	}
}

const poolWorkers = 2

// hash is FNV-1a over the 64 bytes that job j stands for, a word of eight at a time.
func hash(j uint64) uint64 {
	hash := uint64(0xcbf29ce484222325)
	for word := range uint64(8) {
		hash = (hash ^ (j + word)) * 0x100000001b3
	}
	return hash
}

// pool hashes n jobs in a pool of two workers, one channel operation a job and one a result.
func pool(queue int) row {
	return func(n int) (time.Duration, uint64) {
		return timed(func() uint64 { return hashJobs(n, queue) })
	}
}

func hashJobs(n, queue int) uint64 {
	jobs := make(chan uint64, queue)
	results := make(chan uint64, queue)
	var wg sync.WaitGroup
	for range poolWorkers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for job := range jobs {
				results <- hash(job)
			}
		}()
	}
	go func() {
		for j := range n {
			jobs <- uint64(j)
		}
		close(jobs)
		wg.Wait()
		close(results)
	}()
	var sum uint64
	for result := range results {
		sum += result
	}
	return sum
}

// poolBatches hands over 256 jobs at a time.
func poolBatches(workers int) row {
	return func(n int) (time.Duration, uint64) {
		return timed(func() uint64 { return hashBatches(n, workers) })
	}
}

func hashBatches(n, workers int) uint64 {
	const size = 256
	jobs := make(chan []uint64, capacity)
	results := make(chan []uint64, capacity)
	var wg sync.WaitGroup
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for batch := range jobs {
				for i, job := range batch {
					batch[i] = hash(job)
				}
				results <- batch
			}
		}()
	}
	go func() {
		for first := 0; first < n; first += size {
			batch := make([]uint64, 0, size)
			for j := first; j < min(first+size, n); j++ {
				batch = append(batch, uint64(j))
			}
			jobs <- batch
		}
		close(jobs)
		wg.Wait()
		close(results)
	}()
	var sum uint64
	for batch := range results {
		for _, result := range batch {
			sum += result
		}
	}
	return sum
}

// poolSleeping is the chapter's limited pool: ten workers, n sleeps of 10 ms.
func poolSleeping(n int) (time.Duration, uint64) {
	return timed(func() uint64 {
		tasks := make(chan int, n)
		var wg sync.WaitGroup
		var mutex sync.Mutex
		var done uint64
		for range 10 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for range tasks {
					time.Sleep(10 * time.Millisecond)
					mutex.Lock()
					done++
					mutex.Unlock()
				}
			}()
		}
		for task := range n {
			tasks <- task
		}
		close(tasks)
		wg.Wait()
		return done
	})
}
