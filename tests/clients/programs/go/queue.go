// A reliable queue, a counter by optimistic transactions, a script and a subscriber, with redigo; Redis and
// Redoubt are restarted.
package main

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

var pool *redis.Pool

func do(command string, args ...interface{}) (interface{}, error) {
	conn := pool.Get()
	defer conn.Close()
	return conn.Do(command, args...)
}

// work moves each job to a list of its own before it runs, so that none is lost.
func work(name string) {
	for {
		conn := pool.Get()
		job, err := redis.Int(redis.DoWithTimeout(conn, 5*time.Second, "BRPOPLPUSH", "jobs", "taken:"+name, 1))
		if err == nil {
			_ = conn.Send("MULTI")
			_ = conn.Send("HSET", "squares", job, job*job)
			_ = conn.Send("LREM", "taken:"+name, 1, job)
			_, _ = conn.Do("EXEC")
		} else if !errors.Is(err, redis.ErrNil) {
			time.Sleep(50 * time.Millisecond)
		}
		conn.Close()
	}
}

func squares(from int) (interface{}, error) {
	fields := []interface{}{"squares"}
	for i := from; i < from+20; i++ {
		fields = append(fields, i)
	}
	return redis.Ints(do("HMGET", fields...))
}

func round(what string, from int) {
	wanted := []int{}
	for i := from; i < from+20; i++ {
		wanted = append(wanted, i*i)
		job := i
		eventually(true, func() (interface{}, error) {
			_, err := do("LPUSH", "jobs", job)
			return true, err
		})
	}
	step(what+": results", eventually(wanted, func() (interface{}, error) { return squares(from) }))
	step(what+": counted", count(what, 20))
	step(what+": heard", heard(what))
}

// count adds 1 to a counter from several goroutines, each as long as another was faster.
func count(name string, times int) int {
	var group sync.WaitGroup
	for i := 0; i < times; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for !addOne(name) {
			}
		}()
	}
	group.Wait()
	total, _ := redis.Int(do("GET", name))
	return total
}

func addOne(name string) bool {
	conn := pool.Get()
	defer conn.Close()
	if _, err := conn.Do("WATCH", name); err != nil {
		return false
	}
	now, err := redis.Int(conn.Do("GET", name))
	if err != nil && !errors.Is(err, redis.ErrNil) {
		return false
	}
	_ = conn.Send("MULTI")
	_ = conn.Send("SET", name, now+1)
	reply, err := conn.Do("EXEC")
	return err == nil && reply != nil
}

// heard subscribes, publishes, and returns the messages.
func heard(text string) []string {
	conn := redis.PubSubConn{Conn: pool.Get()}
	defer conn.Close()
	if err := conn.Subscribe("one"); err != nil {
		return []string{err.Error()}
	}
	if err := conn.PSubscribe("o*"); err != nil {
		return []string{err.Error()}
	}
	messages := []string{}
	for len(messages) < 2 {
		switch got := conn.ReceiveWithTimeout(10 * time.Second).(type) {
		case redis.Subscription:
			if got.Kind == "psubscribe" {
				_, _ = do("PUBLISH", "one", text)
			}
		case redis.Message:
			messages = append(messages, got.Channel+got.Pattern+" "+string(got.Data))
		case error:
			return append(messages, got.Error())
		}
	}
	sort.Strings(messages)
	return messages
}

func main() {
	pool = &redis.Pool{
		MaxIdle: 8,
		Dial:    func() (redis.Conn, error) { return redis.DialURL(os.Args[1]) },
		TestOnBorrow: func(conn redis.Conn, _ time.Time) error {
			_, err := conn.Do("PING")
			return err
		},
	}
	for i := 0; i < 4; i++ {
		go work(fmt.Sprint(i))
	}
	round("at first", 0)
	script := redis.NewScript(1, "return redis.call('INCRBY', KEYS[1], ARGV[1])")
	conn := pool.Get()
	sum, err := redis.Int(script.Do(conn, "sum", 7))
	conn.Close()
	step("script", fmt.Sprint(sum, err))
	_, err = do("LPUSH", "sum", 1)
	step("error", err)
	for i, which := range []string{"redis", "redoubt"} {
		restart(which)
		step("after "+which+": ping", eventually("PONG", func() (interface{}, error) { return do("PING") }))
		round("after "+which, 100*(i+1))
	}
	left, err := redis.Int(do("LLEN", "jobs"))
	step("left", fmt.Sprint(left, err))
}
