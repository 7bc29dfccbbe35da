package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// cancelWaiting measures from cancel to the end of the last of n goroutines that wait for it.
func cancelWaiting(n int) (time.Duration, uint64) {
	return cancelAll(n, func(ctx context.Context) (context.Context, context.CancelFunc) {
		return ctx, func() {}
	})
}

// cancelChildren is the same with a child context for each goroutine.
func cancelChildren(n int) (time.Duration, uint64) {
	return cancelAll(n, context.WithCancel)
}

func cancelAll(
	n int,
	derive func(context.Context) (context.Context, context.CancelFunc),
) (time.Duration, uint64) {
	ctx, cancel := context.WithCancel(context.Background())
	var started, ended sync.WaitGroup
	var canceled atomic.Uint64
	started.Add(n)
	ended.Add(n)
	for range n {
		go func() {
			defer ended.Done()
			own, cancelOwn := derive(ctx)
			defer cancelOwn()
			started.Done()
			<-own.Done()
			if own.Err() == context.Canceled {
				canceled.Add(1)
			}
		}()
	}
	started.Wait()
	return timed(func() uint64 {
		cancel()
		ended.Wait()
		return canceled.Load()
	})
}

// receiveCancellable receives n items, each under a select with the context's end.
func receiveCancellable(n int) (time.Duration, uint64) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return timed(func() uint64 {
		items := sendCancellable(ctx, n)
		var sum uint64
		for {
			select {
			case item, open := <-items:
				if !open {
					return sum
				}
				sum += item
			case <-ctx.Done():
				return sum
			}
		}
	})
}

func sendCancellable(ctx context.Context, n int) <-chan uint64 {
	items := make(chan uint64, capacity)
	go func() {
		defer close(items)
		for i := range n {
			select {
			case items <- uint64(i):
			case <-ctx.Done():
				return
			}
		}
	}()
	return items
}

// receiveCancellableDraining is the same, but takes what is ready without a look at the context.
func receiveCancellableDraining(n int) (time.Duration, uint64) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return timed(func() uint64 {
		items := sendCancellable(ctx, n)
		var sum uint64
		for {
			select {
			case item, open := <-items:
				if !open {
					return sum
				}
				sum += item
			case <-ctx.Done():
				return sum
			}
			for ready := true; ready; {
				select {
				case item, open := <-items:
					if !open {
						return sum
					}
					sum += item
				default:
					ready = false
				}
			}
		}
	})
}

// contextCreate makes and cancels n child contexts under one parent, one after another.
func contextCreate(n int) (time.Duration, uint64) {
	parent, cancelParent := context.WithCancel(context.Background())
	defer cancelParent()
	return timed(func() uint64 {
		var alive uint64
		for range n {
			child, cancel := context.WithCancel(parent)
			if child.Err() == nil {
				alive++
			}
			cancel()
		}
		return alive
	})
}

type key int

// contextValue looks a value up n times, ten contexts below the one that holds it.
func contextValue(n int) (time.Duration, uint64) {
	ctx := context.WithValue(context.Background(), key(-1), uint64(7))
	for depth := range 10 {
		ctx = context.WithValue(ctx, key(depth), depth)
	}
	return timed(func() uint64 {
		var sum uint64
		for range n {
			sum += ctx.Value(key(-1)).(uint64)
		}
		return sum
	})
}
