# Sidekiq: a worker process, delayed jobs, retries, dead jobs, its statistics; both servers are restarted.
require_relative 'harness'
ENV['REDIS_URL'] = URL
require 'sidekiq/api'
require_relative 'sidekiq_jobs'

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
