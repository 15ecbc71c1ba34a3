# Perl's Redis: values, pipelines, transactions, scripts, tied hashes and lists, a subscriber; both servers are
# restarted.
use strict;
use warnings;

use JSON::PP;
use Redis;
use Redis::Hash;
use Redis::List;

$| = 1;
my ($password, $address) = $ARGV[0] =~ m{^redis://:([^@]*)@([^/]*)/$} or die 'no URL';
my $json = JSON::PP->new->canonical->allow_nonref;

sub step {
    my ($what, $result) = @_;
    print "step $what => ", $json->encode($result), "\n";
}

# Has the test kill and start again "redis" or "redoubt"; without Redoubt, Redis in both cases.
sub restart {
    my ($which) = @_;
    print "restart $which\n";
    my $answer = <STDIN> // '';
    die 'no answer' unless $answer eq "restarted\n";
}

sub client {
    return Redis->new(server => $address, password => $password, reconnect => 60, every => 50_000, @_);
}

sub attempt {
    my ($action) = @_;
    my $result = eval { $action->() };
    return $result unless $@;
    # The error is followed by its place in the program.
    my ($error) = $@ =~ /^(.*?),? at /s;
    return $error;
}

# Adds 1 to a counter, as long as another client was faster.
sub add {
    my ($redis, $other) = @_;
    my $tries = 0;
    while (1) {
        $redis->watch('counter');
        my $now = $redis->get('counter') // 0;
        $other->set('counter', 10) unless $tries++;
        $redis->multi;
        $redis->set('counter', $now + 1);
        my $done = $redis->exec;
        return [$tries, $redis->get('counter')] if ref $done && @$done;
    }
}

sub heard {
    my @messages;
    my ($listener, $speaker) = (client(), client());
    my $hear = sub { my ($message, $topic, $by) = @_; push @messages, "$by $topic $message" };
    $listener->subscribe('news', $hear);
    $listener->psubscribe('n*', $hear);
    $speaker->publish('news', 'hello');
    $listener->wait_for_messages(5) while @messages < 2;
    return [sort @messages];
}

my ($redis, $other) = (client(), client());
step('values', [$redis->set(a => 1), $redis->get('a'), $redis->incrby('a', 4), $redis->get('none')]);
my @replies;
for my $number (1 .. 100) {
    $redis->set("k$number", $number, sub { my ($reply, $error) = @_; push @replies, $reply // $error });
}
$redis->wait_all_responses;
step('pipeline', [scalar @replies, grep { $_ ne 'OK' } @replies]);
my ($cursor, %seen) = (0);
do {
    my $found;
    ($cursor, $found) = $redis->scan($cursor, MATCH => 'k*');
    $seen{$_} = 1 for @$found;
} while ($cursor);
step('scan', scalar keys %seen);
step('transaction', [map { ref $_ ? @$_ : $_ } $redis->multi, $redis->incr('n'), $redis->incr('n'), $redis->exec]);
step('optimistic', add($redis, $other));
step('script', $redis->eval("return {KEYS[1], ARGV[1]}", 1, 'k', 'v'));
my ($sha) = $redis->script_load("return redis.call('INCRBY', KEYS[1], ARGV[1])");
step('sha', [$redis->evalsha($sha, 1, 'sum', 3), $redis->script_exists($sha)]);
tie my %hash, 'Redis::Hash', 'tied', server => $address, password => $password;
%hash = (x => 1, y => 2);
step('tied hash', [{%hash}, exists $hash{x}, delete $hash{x}, [keys %hash]]);
tie my @list, 'Redis::List', 'list', server => $address, password => $password;
push @list, qw(a b c);
step('tied list', [scalar @list, $list[1], shift @list, pop @list]);
step('blocking', [[$redis->blpop('list', 5)], scalar $redis->blpop('none', 1)]);
step('heard', heard());
step('info', $redis->info->{role});
step('error', attempt(sub { $redis->lpush('a', 'x') }));
step('unknown', attempt(sub { $redis->nosuch('x') }));
step('database', [$redis->select(3), $redis->get('a'), $redis->select(0), $redis->get('a')]);
for my $which (qw(redis redoubt)) {
    restart($which);
    step("after $which: value", $redis->get('a'));
    step("after $which: counted", $other->incr("n $which"));
    step("after $which: heard", heard());
}
$redis->quit;
