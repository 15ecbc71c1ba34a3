# Sidekiq: a worker process, delayed jobs, retries, dead jobs, its statistics; both servers are restarted.
ENV['REDIS_URL'] = ARGV[0]
require 'sidekiq/api'
require_relative 'sidekiq_jobs'

$stdout.sync = true

def step(what, result)
  puts "step #{what} => #{result.inspect}"
end

# Has the test kill and start again "redis" or "redoubt"; without Redoubt, Redis in both cases.
def restart(which)
  puts "restart #{which}"
  raise 'no answer' unless $stdin.gets == "restarted\n"
end

# Repeats the block until it gives what is wanted, also if it fails meanwhile; returns what it gave last.
def eventually(wanted)
  ends = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 60
  loop do
    begin
      found = yield
    rescue StandardError => e
      found = "#{e.class}: #{e.message}"
    end
    return found if found == wanted || Process.clock_gettime(Process::CLOCK_MONOTONIC) > ends

    sleep 0.05
  end
end

def squares(of)
  Sidekiq.redis { |redis| redis.hmget('squares', *of) }.map { |value| value&.to_i }
end

def round(what, of)
  Square.perform_bulk(of.map { |number| [number] })
  step "#{what}: results", eventually(of.map { |number| number * number }) { squares(of) }
end

quiet = { in: File::NULL, out: File::NULL, err: File::NULL }
words = ['sidekiq', '-r', "#{__dir__}/sidekiq_jobs.rb", '-c', '4', '-t', '2']
worker = spawn(*words, quiet)
begin
  step 'processes', eventually(1) { Sidekiq::ProcessSet.new.size }
  round('at first', (0...20).to_a)
  Square.perform_in(1, 100)
  step 'delayed', eventually([10_000]) { squares([100]) }
  SecondTry.perform_async
  step 'to be tried again', eventually(['not yet']) { Sidekiq::RetrySet.new.map { |job| job['error_message'] } }
  # Otherwise it takes up to half a minute.
  Sidekiq::RetrySet.new.each(&:retry)
  step 'second try', eventually('2') { Sidekiq.redis { |redis| redis.get('tries') } }
  Fails.perform_async
  step 'dead', eventually(['this job always fails']) { Sidekiq::DeadSet.new.map { |job| job['error_message'] } }
  %w[redis redoubt].each_with_index do |which, index|
    Square.perform_in(3, 200 + index)
    restart which
    step "after #{which}: ping", eventually('PONG') { Sidekiq.redis(&:ping) }
    round("after #{which}", (0...20).map { |number| 1000 * (index + 1) + number })
    step "after #{which}: delayed before", eventually([(200 + index)**2]) { squares([200 + index]) }
  end
  stats = Sidekiq::Stats.new
  step 'counts', [stats.enqueued, stats.scheduled_size, stats.retry_size, stats.dead_size]
ensure
  Process.kill(:TERM, worker)
  Process.wait(worker)
end
