// Two greetings at the same time.
package main

import (
	"fmt"
	"time"
)

func sayHello(name string) {
	for n := 1; n <= 3; n++ {
		fmt.Printf("Hello, %s! (%d)\n", name, n)
		time.Sleep(100 * time.Millisecond)
	}
}

func main() {
	fmt.Println("=== Synchronous execution ===")
	sayHello("Alice")
	sayHello("Bob")

	fmt.Println("\n=== Asynchronous execution ===")
	go sayHello("Charlie")
	go sayHello("Diana")

	time.Sleep(500 * time.Millisecond) // hopefully long enough
	fmt.Println("Main function ending")
}
