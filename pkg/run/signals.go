package run

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// ErrSignal is the cause of a context that [Signals] cancelled.
var ErrSignal = errors.New("asked to stop by a signal")

// Signals returns a context that the first SIGINT or SIGTERM cancels, with
// [ErrSignal] as its cause. A second one ends the process at once with exit
// code 1, for the person who does not want to wait for the stop. The returned
// function gives the signals back; call it when the work is done.
func Signals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-signals:
			cancel(ErrSignal)
		case <-done:
			return
		}
		select {
		case <-signals:
			os.Exit(1)
		case <-done:
		}
	})
	stop := sync.OnceFunc(func() {
		signal.Stop(signals)
		close(done)
		watch.Wait()
		cancel(context.Canceled)
	})
	return ctx, stop
}
