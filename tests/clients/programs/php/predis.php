<?php
// Predis: pipelines, transactions, scripts, iterators, a subscriber; both servers are restarted.
declare(strict_types=1);

require __DIR__ . '/harness.php';
require 'Predis/Autoloader.php';

Predis\Autoloader::register();

['host' => $host, 'port' => $port, 'pass' => $password] = parse_url($argv[1]);

// Adds to a counter, once for each time that it is called.
class AddTwice extends Predis\Command\ScriptCommand
{
    public function getKeysCount(): int
    {
        return 1;
    }

    public function getScript(): string
    {
        return "redis.call('INCRBY', KEYS[1], ARGV[1]) return redis.call('INCRBY', KEYS[1], ARGV[1])";
    }
}

function client(string $host, int $port, string $password, array $options = []): Predis\Client
{
    $server = ['host' => $host, 'port' => $port, 'password' => $password, 'database' => 2];
    return new Predis\Client($server + ['read_write_timeout' => 20], $options);
}

// Takes a coin from a purse, as long as another client changes it meanwhile.
function takeCoin(Predis\Client $client, Predis\Client $other): array
{
    $tries = 0;
    $options = ['cas' => true, 'watch' => 'purse', 'retry' => 3];
    $replies = $client->transaction($options, function ($transaction) use ($other, &$tries) {
        $coins = (int) $transaction->get('purse');
        if ($tries++ === 0) {
            $other->set('purse', 5);
        }
        $transaction->multi();
        $transaction->set('purse', $coins - 1);
        $transaction->get('purse');
    });
    return [$tries, $replies[1]];
}

function heard(Predis\Client $client, Predis\Client $other): array
{
    $messages = [];
    $loop = $client->pubSubLoop();
    $loop->subscribe('news', 'other');
    $loop->psubscribe('n*');
    foreach ($loop as $message) {
        if ($message->kind === 'psubscribe') {
            $other->publish('news', 'hello');
        } elseif ($message->kind === 'message' || $message->kind === 'pmessage') {
            $messages[] = [$message->kind, $message->payload];
            if (count($messages) === 2) {
                $loop->unsubscribe();
                $loop->punsubscribe();
            }
        }
    }
    return $messages;
}

function attempt(callable $action): mixed
{
    try {
        return $action();
    } catch (Predis\Response\ServerException $error) {
        return $error->getMessage();
    }
}

$profile = function ($options) {
    $profile = $options->getDefault('profile');
    $profile->defineCommand('addtwice', 'AddTwice');
    return $profile;
};
$client = client($host, $port, $password, ['profile' => $profile, 'prefix' => 'app:']);
$other = client($host, $port, $password, ['prefix' => 'app:']);
step('values', [(string) $client->set('a', '1'), $client->get('a'), $client->incrby('a', 4), $client->get('none')]);
step('hash', [$client->hmset('h', ['x' => 1, 'y' => 2])->getPayload(), $client->hgetall('h')]);
step('pipeline', array_map('strval', $client->pipeline(function ($pipe) {
    for ($i = 0; $i < 50; $i++) {
        $pipe->set("k$i", $i);
        $pipe->get("k$i");
    }
})));
step('transaction', array_map('strval', $client->transaction()->set('b', '1')->incr('b')->execute()));
$client->set('purse', 3);
step('optimistic', takeCoin($client, $other));
step('script', [$client->addtwice('sum', 3), $client->addtwice('sum', 3)]);
$found = iterator_to_array(new Predis\Collection\Iterator\Keyspace($client, 'app:k*'), false);
step('iterator', count(array_unique($found)));
step('blocking', [$client->lpush('list', ['x']), $client->brpop(['list'], 5), $client->brpop(['list'], 1)]);
step('heard', heard(client($host, $port, $password), client($host, $port, $password)));
step('error', attempt(fn () => $client->lpush('a', ['x'])));
step('unknown', attempt(fn () => $client->executeRaw(['NOSUCH', 'x'])));
foreach (['redis', 'redoubt'] as $which) {
    restart($which);
    // It connects anew only after an error.
    step("after $which", eventually(fn () => $client->get('a'), '5'));
    step("after $which: another", eventually(fn () => $other->incr("n$which"), 1));
}
step('deleted', $client->del(['a', 'b', 'none']));
