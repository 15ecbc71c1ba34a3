<?php
// What the programs share: their output, which the test compares.
declare(strict_types=1);

function step(string $what, mixed $result): void
{
    echo "step $what => ", json_encode($result), "\n";
}

// Has the test kill and start again "redis" or "redoubt"; without Redoubt, Redis in both cases.
function restart(string $which): void
{
    echo "restart $which\n";
    if (fgets(STDIN) !== "restarted\n") {
        exit(1);
    }
}

// Repeats the action until it gives what is wanted, also if it fails meanwhile; returns what it gave last.
function eventually(callable $action, mixed $wanted): mixed
{
    $end = microtime(true) + 60;
    do {
        try {
            $found = $action();
        } catch (Exception $error) {
            $found = get_class($error) . ': ' . $error->getMessage();
        }
        if ($found === $wanted) {
            break;
        }
        usleep(50_000);
    } while (microtime(true) < $end);
    return $found;
}
