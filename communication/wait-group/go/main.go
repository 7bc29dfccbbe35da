// Five workers, and main waits until all of them have ended.
package main

import (
	"fmt"
	"sync"
	"time"
)

func worker(id int, wg *sync.WaitGroup) {
	defer wg.Done() // counts down
	fmt.Printf("Worker %d starting\n", id)
	time.Sleep(time.Duration(id) * 100 * time.Millisecond)
	fmt.Printf("Worker %d done\n", id)
}

func main() {
	var wg sync.WaitGroup
	for id := 1; id <= 5; id++ {
		wg.Add(1) // counts up
		go worker(id, &wg)
	}

	fmt.Println("Waiting for workers to complete...")
	wg.Wait()
	fmt.Println("All workers completed")
}
