<?php
// PHP sessions in Redis, with a lock for each, and phpredis itself; both servers are restarted.
declare(strict_types=1);

$url = parse_url($argv[1]);
['host' => $host, 'port' => $port, 'pass' => $password] = $url;

require __DIR__ . '/harness.php';

// Starts PHP's own web server on a free port, and returns its address.
function site(string $host, int $port, string $password): array
{
    $listener = stream_socket_server('tcp://127.0.0.1:0');
    $address = stream_socket_get_name($listener, false);
    fclose($listener);
    $options = [
        'session.save_handler' => 'redis',
        'session.save_path' => "tcp://$host:$port?auth=$password&database=1&prefix=own:",
        'redis.session.locking_enabled' => '1',
        'redis.session.lock_retries' => '500',
        'redis.session.lock_wait_time' => '10000',
    ];
    $words = [PHP_BINARY];
    foreach ($options as $name => $value) {
        // Without quotes, & would be an operator.
        array_push($words, '-d', "$name=\"$value\"");
    }
    array_push($words, '-S', $address, __DIR__ . '/page.php');
    $quiet = ['file', '/dev/null', 'w'];
    $environment = ['PHP_CLI_SERVER_WORKERS' => '4'] + getenv();
    $pipes = [];
    $server = proc_open($words, [['file', '/dev/null', 'r'], $quiet, $quiet], $pipes, null, $environment);
    return [$server, $address];
}

// Asks for the page, with the cookie of a visitor.
function visit(string $address, string $visitor, string $query = ''): mixed
{
    $header = "Cookie: PHPSESSID=$visitor\r\nConnection: close";
    $context = stream_context_create(['http' => ['header' => $header, 'timeout' => 10]]);
    return json_decode((string) @file_get_contents("http://$address/?$query", false, $context), true);
}

// Has ten visits of a visitor at once, which the session's lock brings into a row; returns the last count.
function crowd(string $address, string $visitor): array
{
    $open = [];
    for ($i = 0; $i < 10; $i++) {
        $stream = stream_socket_client("tcp://$address");
        fwrite($stream, "GET / HTTP/1.0\r\nHost: $address\r\nCookie: PHPSESSID=$visitor\r\n\r\n");
        $open[] = $stream;
    }
    $counts = [];
    foreach ($open as $stream) {
        [, $body] = explode("\r\n\r\n", stream_get_contents($stream), 2);
        $counts[] = json_decode($body, true)['visits'] ?? null;
    }
    sort($counts);
    return $counts;
}

function library(Redis $redis): void
{
    step('pipeline', $redis->pipeline()->set('site:a', '1')->incr('site:a')->get('site:a')->exec());
    step('transaction', $redis->multi()->set('b', '1')->del('b')->exec());
    step('hash', [$redis->hMSet('site:h', ['x' => 1, 'y' => 2]), $redis->hGetAll('site:h')]);
    step('script', $redis->eval("return {KEYS[1], ARGV[1]}", ['k', 'v'], 1));
    $redis->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
    $seen = [];
    $at = null;
    while (($keys = $redis->scan($at, 'site:h*')) !== false) {
        array_push($seen, ...$keys);
    }
    step('scan', $seen);
    step('blocking', $redis->blPop(['none'], 1));
    step('error', [$redis->lPush('site:a', 'x'), $redis->getLastError()]);
    $redis->clearLastError();
    step('flushDB', $redis->flushDB());
    step('after flushDB', $redis->exists('site:h'));
}

[$server, $address] = site($host, $port, $password);
register_shutdown_function(fn () => proc_terminate($server, 9));
step('first visit', eventually(fn () => visit($address, 'ann')['visits'] ?? null, 1));
step('second visit', visit($address, 'ann', 'add=apple'));
step('another visitor', visit($address, 'bob'));
step('ten at once', crowd($address, 'bob'));
foreach (['redis', 'redoubt'] as $which) {
    restart($which);
    step("after $which", eventually(fn () => (visit($address, 'ann')['visits'] ?? 0) > 0, true));
    step("after $which: another visitor", crowd($address, "carl$which"));
}
step('basket', visit($address, 'ann', 'add=pear')['basket']);
visit($address, 'ann', 'end=1');
step('ended', visit($address, 'ann'));

$redis = new Redis();
$redis->connect($host, $port);
step('login', $redis->auth($password));
$redis->select(3);
library($redis);
