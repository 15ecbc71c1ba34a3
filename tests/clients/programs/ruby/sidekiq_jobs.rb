# The jobs of sidekiq_queue.rb, and how Sidekiq's worker finds Redis.
require 'sidekiq'

Sidekiq.configure_server do |config|
  config.redis = { url: ENV.fetch('REDIS_URL') }
  # How often delayed jobs are looked for, in seconds.
  config.options[:poll_interval_average] = 1
end
Sidekiq.configure_client { |config| config.redis = { url: ENV.fetch('REDIS_URL') } }

class Square
  include Sidekiq::Worker

  def perform(number)
    Sidekiq.redis { |redis| redis.hset('squares', number, number * number) }
  end
end

class SecondTry
  include Sidekiq::Worker

  def perform
    tries = Sidekiq.redis { |redis| redis.incr('tries') }
    raise 'not yet' if tries < 2
  end
end

class Fails
  include Sidekiq::Worker

  sidekiq_options retry: 0

  def perform
    raise 'this job always fails'
  end
end
