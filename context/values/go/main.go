// A request's values travel in its context, under keys of a type of their own.
package main

import (
	"context"
	"fmt"
	"time"
)

type contextKey string

const (
	userID    contextKey = "userID"
	requestID contextKey = "requestID"
)

func processRequest(ctx context.Context) {
	user, request := ctx.Value(userID), ctx.Value(requestID) // of type any; nil if absent
	fmt.Printf("Processing request %v for user %v\n", request, user)

	select {
	case <-time.After(time.Second):
		fmt.Printf("Request %v completed\n", request)
	case <-ctx.Done():
		fmt.Printf("Request %v cancelled: %v\n", request, ctx.Err())
	}
}

func main() {
	ctx := context.WithValue(context.Background(), userID, "user123")
	ctx = context.WithValue(ctx, requestID, "req456")
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()

	go processRequest(ctx)

	<-ctx.Done() // waits out the 2 s, though the request took 1 s
	time.Sleep(100 * time.Millisecond)
}
