// Package coord owns what replicas agree on through Redis: how many calls of each limit began and how many run.
package coord

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"remit/policy"
)

// timeout bounds each question to Redis. A call waits no longer than three of them.
const timeout = 2 * time.Second

// Redis is a policy.Place. Times are those of Redis, so that replicas' clocks need not agree.
type Redis struct{ client *redis.Client }

// NewRedis reads a redis:// or rediss:// URL. It does not connect yet.
func NewRedis(url string) (*Redis, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("redis is no URL of a Redis server: write redis://user:password@host:6379/0, or rediss:// for TLS")
	}
	o.ClientName, o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.MaxRetries = "remit", timeout, timeout, timeout, 1
	o.ContextTimeoutEnabled = true
	return &Redis{redis.NewClient(o)}, nil
}

// Close ends the connections.
func (r *Redis) Close() error { return r.client.Close() }

// ErrEvicts says that Redis may forget what was counted, which would open limits.
var ErrEvicts = errors.New("redis drops keys when its memory is full, and with them what limits have counted: set its maxmemory-policy to noeviction, or give Remit a Redis of its own")

// Ping says why Redis cannot be used now.
func (r *Redis) Ping(ctx context.Context) error {
	memory, err := r.client.Info(ctx, "memory").Result()
	if err == nil && !strings.Contains(memory, "maxmemory_policy:noeviction") {
		err = ErrEvicts
	}
	return err
}

// A count is a sorted set of calls by when they began, in microseconds. Beside it is its state: whether everything is in it.
// What is known of Redis itself, its run, is part of the state, so that a count that Redis had before it was started again, of which it
// may have lost the newest calls, is loaded anew. Keys have one hash tag, since a script reads several.
const (
	prefix = "{remit}:"
	common = `
local function now(key)
	local t = redis.call('TIME')
	local us = t[1] * 1000000 + t[2]
	local newest = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
	if newest[2] and tonumber(newest[2]) > us then us = tonumber(newest[2]) end -- a clock that steps back opens nothing
	return us
end
local function text(n) return string.format('%.0f', n) end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
`
)

// take: KEYS are the counts, their states, and what runs. ARGV: id, counts, concurrent (-1 for none), longest of a call, kept for,
// kept calls, and for each limit the index of its count, calls, and period.
var take = redis.NewScript(common + `
local counts, concurrent = tonumber(ARGV[2]), tonumber(ARGV[3])
local keptFor, kept = tonumber(ARGV[5]), tonumber(ARGV[6])
local states, us = {}, 0
for i = 1, counts do
	states[i] = redis.call('GET', KEYS[counts + i])
	if states[i] and string.sub(states[i], 1, #run) ~= run then
		redis.call('DEL', KEYS[i], KEYS[counts + i])
		states[i] = false
	end
	us = math.max(us, now(KEYS[i]))
end
local load, full, wait = {}, 0, 0
for l = 7, #ARGV, 3 do
	local i, calls, per = tonumber(ARGV[l]) + 1, tonumber(ARGV[l + 1]), tonumber(ARGV[l + 2])
	if states[i] ~= run .. ' whole' then
		if not states[i] then redis.call('SET', KEYS[counts + i], run .. ' loading', 'PX', math.ceil(keptFor / 1000)) end
		load[#load + 1] = i - 1
	else
		local last = redis.call('ZREVRANGE', KEYS[i], calls - 1, calls - 1, 'WITHSCORES')
		if last[2] and tonumber(last[2]) + per - us > wait then full, wait = (l - 7) / 3 + 1, tonumber(last[2]) + per - us end
	end
end
if #load > 0 then return {'load', unpack(load)} end
if full > 0 then return {'full', full, text(wait)} end
if concurrent >= 0 then
	local running = KEYS[2 * counts + 1]
	redis.call('ZREMRANGEBYSCORE', running, '-inf', text(us))
	if redis.call('ZCARD', running) >= concurrent and not redis.call('ZSCORE', running, ARGV[1]) then return {'busy'} end
	redis.call('ZADD', running, text(us + tonumber(ARGV[4])), ARGV[1])
	redis.call('PEXPIRE', running, math.ceil(tonumber(ARGV[4]) / 1000))
end
for i = 1, counts do
	if states[i] then
		redis.call('ZADD', KEYS[i], text(us), ARGV[1])
		redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', text(us - keptFor))
		redis.call('ZREMRANGEBYRANK', KEYS[i], 0, -kept - 1)
		redis.call('PEXPIRE', KEYS[i], math.ceil(keptFor / 1000))
		redis.call('PEXPIRE', KEYS[counts + i], math.ceil(keptFor / 1000))
	end
end
return {'begun'}
`)

// load: KEYS are the count and its state. ARGV: kept for, and how long ago each call began.
var load = redis.NewScript(common + `
if redis.call('GET', KEYS[2]) ~= run .. ' loading' then return 0 end -- somebody else did, or Redis was started again
local us = now(KEYS[1])
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], text(us - tonumber(ARGV[i])), 'past ' .. i) end
local ms = math.ceil(tonumber(ARGV[1]) / 1000)
redis.call('PEXPIRE', KEYS[1], ms)
redis.call('SET', KEYS[2], run .. ' whole', 'PX', ms)
return 1
`)

// Take is policy.Place's.
func (r *Redis) Take(ctx context.Context, c policy.Asked) (a policy.Answer, err error) {
	var keys []string
	for _, count := range c.Counts {
		keys = append(keys, prefix+count)
	}
	for _, count := range c.Counts {
		keys = append(keys, prefix+"state "+count)
	}
	keys = append(keys, prefix+"running "+c.Running)
	concurrent := -1
	if c.Running != "" {
		concurrent = c.Concurrent
	}
	args := []any{c.ID, len(c.Counts), concurrent, c.Longest.Microseconds(), policy.KeptFor.Microseconds(), policy.KeptCalls}
	for _, l := range c.Limits {
		args = append(args, l.Count, l.Calls, l.Per.Microseconds())
	}
	said, err := take.Run(ctx, r.client, keys, args...).Slice()
	if err != nil {
		return a, fmt.Errorf("redis does not count: %w", err)
	}
	switch said[0] {
	case "begun":
		return a, nil
	case "busy":
		return policy.Answer{Busy: true}, nil
	}
	var numbers []int64
	for _, value := range said[1:] {
		n, err := strconv.ParseInt(fmt.Sprint(value), 10, 64)
		if err != nil {
			return a, fmt.Errorf("redis answered %v", said)
		}
		numbers = append(numbers, n)
	}
	if said[0] == "full" && len(numbers) == 2 {
		return policy.Answer{Full: int(numbers[0]), Wait: time.Duration(numbers[1]) * time.Microsecond}, nil
	}
	for _, i := range numbers {
		a.Load = append(a.Load, int(i))
	}
	if said[0] != "load" || len(a.Load) == 0 {
		err = fmt.Errorf("redis answered %v", said)
	}
	return a, err
}

// Load is policy.Place's.
func (r *Redis) Load(ctx context.Context, count string, ago []time.Duration) error {
	args := []any{policy.KeptFor.Microseconds()}
	for _, d := range ago {
		args = append(args, d.Microseconds())
	}
	if err := load.Run(ctx, r.client, []string{prefix + count, prefix + "state " + count}, args...).Err(); err != nil {
		return fmt.Errorf("redis does not count: %w", err)
	}
	return nil
}

// End is policy.Place's.
func (r *Redis) End(ctx context.Context, running, id string) error {
	return r.client.ZRem(ctx, prefix+"running "+running, id).Err()
}
