package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// spawn starts n goroutines that do nothing but count themselves, and waits for them.
func spawn(n int) (time.Duration, uint64) {
	return spawnAll(n, n+1, func() {})
}

// spawnYielding lets others run every 128 goroutines, so that there are never many at once.
func spawnYielding(n int) (time.Duration, uint64) {
	return spawnAll(n, 128, func() {})
}

// sleeping starts n goroutines that sleep 10 ms each.
func sleeping(n int) (time.Duration, uint64) {
	return spawnAll(n, n+1, func() { time.Sleep(10 * time.Millisecond) })
}

func unlimitedSleeping(n int) (time.Duration, uint64) {
	return sleeping(n)
}

func spawnAll(n, yieldEvery int, work func()) (time.Duration, uint64) {
	return timed(func() uint64 {
		var wg sync.WaitGroup
		var done atomic.Uint64
		for i := range n {
			wg.Add(1)
			go func() {
				defer wg.Done()
				work()
				done.Add(1)
			}()
			if i%yieldEvery == yieldEvery-1 {
				runtime.Gosched()
			}
		}
		wg.Wait()
		return done.Load()
	})
}

// parked starts n goroutines that wait for one channel to be closed, and closes it once all of
// them are waiting.
func parked(n int) (time.Duration, uint64) {
	return timed(func() uint64 {
		var started, ended sync.WaitGroup
		var done atomic.Uint64
		release := make(chan struct{})
		started.Add(n)
		ended.Add(n)
		for range n {
			go func() {
				defer ended.Done()
				started.Done()
				<-release
				done.Add(1)
			}()
		}
		started.Wait()
		close(release)
		ended.Wait()
		return done.Load()
	})
}
