// A function literal as a goroutine, without and with a parameter.
package main

import (
	"fmt"
	"time"
)

func main() {
	go func() {
		for i := range 3 {
			fmt.Printf("Anonymous goroutine: %d\n", i)
			time.Sleep(100 * time.Millisecond)
		}
	}()

	go func(message string) {
		fmt.Println(message)
	}("Hello from goroutine")

	time.Sleep(500 * time.Millisecond)
}
