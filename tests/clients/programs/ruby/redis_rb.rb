# redis-rb: pipelines, transactions, scripts, a lock, a subscriber and a queue; both servers are restarted.
require 'redis'
require_relative 'harness'

ADD = "return redis.call('INCRBY', KEYS[1], ARGV[1])".freeze

def client
  # Otherwise it tries each request again, also one that has run.
  Redis.new(url: URL, reconnect_attempts: 0)
end

def attempt
  yield
rescue Redis::CommandError => e
  e.message
end

# Adds 1 to a counter in several threads, each as long as another was faster.
def count(name, threads)
  adders = Array.new(threads) do
    Thread.new do
      redis = client
      loop do
        done = redis.watch(name) do
          now = redis.get(name).to_i
          redis.multi { |transaction| transaction.set(name, now + 1) }
        end
        break if done
      end
      redis.close
    end
  end
  adders.each(&:join)
  client.get(name)
end

def heard(text)
  messages = []
  client.subscribe_with_timeout(20, 'news') do |on|
    on.subscribe { client.publish('news', text) }
    on.message do |_, message|
      messages << message
      throw :done
    end
  end
rescue UncaughtThrowError
  messages
end

# Moves each job to a list of its own before it runs, so that none is lost.
def worker
  Thread.new do
    redis = client
    loop do
      job = redis.brpoplpush('jobs', 'taken', timeout: 1)
      next unless job

      redis.multi do |transaction|
        transaction.hset('squares', job, job.to_i**2)
        transaction.lrem('taken', 1, job)
      end
    rescue Redis::BaseError
      sleep 0.05
    end
  end
end

redis = client
step 'values', [redis.set('a', '1'), redis.get('a'), redis.incrby('a', 4), redis.get('none')]
step 'options', [redis.set('a', '6', nx: true), redis.set('b', '1', ex: 100, get: true), redis.ttl('b') > 90]
step 'hash', [redis.hset('h', 'x', 1, 'y', 2), redis.hgetall('h'), redis.mapped_hmget('h', 'x', 'z')]
step 'pipeline', redis.pipelined { |pipe| 100.times { |i| pipe.set("k#{i}", i) } }.uniq
step 'scan', redis.scan_each(match: 'k*').to_a.uniq.size
step 'transaction', redis.multi { |transaction| [transaction.incr('n'), transaction.incr('n')] }
step 'sha', redis.evalsha(redis.script(:load, ADD), ['sum'], [7])
step 'script', redis.eval(ADD, keys: ['sum'], argv: [7])
step 'stream', [redis.xadd('s', { 'x' => '1' }, id: '1-1'), redis.xread('s', '0'), redis.xgroup(:create, 's', 'g', '0')]
step 'group', redis.xreadgroup('g', 'me', 's', '>')
step 'counted', count('counter', 5)
step 'heard', heard('hello')
step 'blocking', redis.blpop('none', timeout: 1)
step 'error', attempt { redis.lpush('a', 'x') }
step 'unknown', attempt { redis.call('NOSUCH', 'x') }
step 'database', [redis.select(3), redis.get('a'), redis.select(0), redis.get('a')]
workers = Array.new(2) { worker }
%w[redis redoubt].each_with_index do |which, index|
  numbers = (0...20).map { |number| 100 * index + number }
  restart which
  step "after #{which}: ping", eventually('PONG') { redis.ping }
  redis.lpush('jobs', numbers)
  wanted = numbers.map { |number| (number * number).to_s }
  step "after #{which}: jobs", eventually(wanted) { redis.hmget('squares', *numbers) }
  step "after #{which}: counted", count("after #{which}", 5)
end
workers.each(&:kill)
