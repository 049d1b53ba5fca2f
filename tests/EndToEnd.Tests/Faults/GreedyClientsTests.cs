using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>Clients that take what they can: slow ones, many idle streams, and one at ten times its rate.</summary>
public sealed class GreedyClientsTests : IClassFixture<LimitedCluster>
{
    private const int SlowClients = 200;
    private const int IdleStreams = 1000;
    private const int StreamsAConnection = 50;
    private const int Submits = 40;
    private const int Renewals = 100;

    // Each waits for its answers: far more than ten times Limits:CallsPerSecond, on any machine.
    private const int GreedyCallers = 16;

    private readonly LimitedCluster _limited;

    public GreedyClientsTests(LimitedCluster limited) => _limited = limited;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    [Trait("Round", "full")]
    public async Task GreedyClients_LeaveLeasesAndAnothersSubmits()
    {
        var cluster = _limited.Cluster;
        var (greedy, idle, modest) = (await NewTokenAsync("greedy"), await NewTokenAsync("idle"), await NewTokenAsync("modest"));
        using var own = GrpcChannel.ForAddress(cluster.GrpcAddress);
        var job = (await SubmitAsync(own, modest, 0)).Id;
        var epochs = await Invariants.EpochsAsync(cluster, Cancelled);
        var (alone, renewedAlone) = (await SubmitsAsync(own, modest, "alone"), await RenewalsAsync(own));

        using var end = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        using var slow = new SlowConnections(cluster, SlowClients);
        var sending = slow.SendAsync(end.Token);
        using var streams = new OpenStreams(cluster.GrpcAddress, idle, job);
        var (open, refusedStreams) = await streams.OpenAsync(IdleStreams, Cancelled);
        var refused = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var calling = Task.WhenAll(
            Enumerable.Range(0, GreedyCallers).Select(_ => CallAsync(cluster.GrpcAddress, greedy, refused, end.Token)));
        // Until then it has what it may make at once.
        await refused.Task.WaitAsync(Patience.Limit, Cancelled);
        var (beside, renewedBeside) = (await SubmitsAsync(own, modest, "beside"), await RenewalsAsync(own));
        await end.CancelAsync();
        await sending;
        var answers = (await calling).SelectMany(each => each).ToList();

        (await Invariants.EpochsAsync(cluster, Cancelled)).ShouldBe(epochs, "no node is lost");
        (open + refusedStreams).ShouldBe(IdleStreams);
        refusedStreams.ShouldBeGreaterThan(0);
        answers.ShouldAllBe(code => code == StatusCode.OK || code == StatusCode.ResourceExhausted);
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"{Submits} submits: {alone.TotalSeconds:F2} s alone, {beside.TotalSeconds:F2} s beside the greedy ones, ratio "
                + $"{beside / alone:F2}; {Renewals} heartbeats: {renewedAlone.TotalSeconds:F2} s alone, "
                + $"{renewedBeside.TotalSeconds:F2} s beside them, ratio {renewedBeside / renewedAlone:F2}; {open} of {IdleStreams} "
                + $"streams open, {answers.Count(code => code == StatusCode.OK)} of {answers.Count} greedy calls answered");
    }

    /// <summary>All are taken in, one after another.</summary>
    private static async Task<TimeSpan> SubmitsAsync(GrpcChannel channel, string token, string round)
    {
        var clock = Stopwatch.StartNew();
        for (var i = 1; i <= Submits; i++)
            (await SubmitAsync(channel, token, i, round)).State.ShouldBe(JobState.Queued);
        return clock.Elapsed;
    }

    /// <summary>
    /// Heartbeats of nodes that the cluster does not know, one after another: they go the way of all others, and renew nothing.
    /// </summary>
    private async Task<TimeSpan> RenewalsAsync(GrpcChannel channel)
    {
        var token = (await File.ReadAllTextAsync(Path.Combine(_limited.Cluster.State, "node-token"), Cancelled)).Trim();
        var (registry, clock) = (new AgentRegistryService.AgentRegistryServiceClient(channel), Stopwatch.StartNew());
        for (var i = 0; i < Renewals; i++)
        {
            var heartbeat = new HeartbeatRequest { NodeId = $"{Guid.NewGuid()}", Incarnation = "none" };
            (await Should.ThrowAsync<RpcException>(() => registry.HeartbeatAsync(heartbeat, Options(token)).ResponseAsync))
                .StatusCode.ShouldBe(StatusCode.NotFound);
        }

        return clock.Elapsed;
    }

    private static async Task<Job> SubmitAsync(GrpcChannel channel, string token, int number, string round = "first")
    {
        // Nobody has such a node: it waits.
        var request = new SubmitJobRequest
        {
            RequestId = $"{round}-{number}",
            Yaml = DisturbedJob.Yaml($"{round}-{number}", epochs: 1, only: "nowhere"),
            WaitForCapacity = true,
        };
        return (await new JobService.JobServiceClient(channel).SubmitJobAsync(request, Options(token))).Job;
    }

    private static async Task<IReadOnlyList<StatusCode>> CallAsync(
        string address, string token, TaskCompletionSource refused, CancellationToken cancellationToken)
    {
        using var channel = GrpcChannel.ForAddress(address);
        var jobs = new JobService.JobServiceClient(channel);
        var answers = new List<StatusCode>();
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await jobs.ListJobsAsync(new ListJobsRequest { PageSize = 1 }, Options(token));
                answers.Add(StatusCode.OK);
            }
            catch (RpcException refusal)
            {
                answers.Add(refusal.StatusCode);
                if (refusal.StatusCode == StatusCode.ResourceExhausted)
                    refused.TrySetResult();
            }
        }

        return answers;
    }

    private static CallOptions Options(string token) => new(
        new Metadata { { CallMetadata.Authorization, CallMetadata.Bearer(token) } }, DateTime.UtcNow.AddMinutes(2), Cancelled);

    /// <summary>A submitter's.</summary>
    private async Task<string> NewTokenAsync(string owner)
    {
        using var channel = _limited.Cluster.ChannelTo(_limited.Cluster.GrpcAddress);
        var request = new CreateTokenRequest { Name = "test", Owner = owner, Scope = Scope.Submitter };
        return (await new TokenService.TokenServiceClient(channel).CreateTokenAsync(request, cancellationToken: Cancelled)).Secret;
    }

    /// <summary>Connections on which a byte of a request comes now and then, and never all of it.</summary>
    private sealed class SlowConnections : IDisposable
    {
        private readonly List<TcpClient> _clients = [];

        public SlowConnections(LocalCluster cluster, int count)
        {
            for (var i = 0; i < count; i++)
            {
                var client = new TcpClient();
                client.Connect(IPAddress.Loopback, new Uri(i % 2 == 0 ? cluster.GrpcAddress : cluster.RestAddress).Port);
                _clients.Add(client);
            }
        }

        public async Task SendAsync(CancellationToken cancellationToken)
        {
            var text = Encoding.ASCII.GetBytes("POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n");
            using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
            for (var at = 0; !cancellationToken.IsCancellationRequested; at++)
            {
                foreach (var client in _clients)
                {
                    try
                    {
                        await client.GetStream().WriteAsync(text.AsMemory(at % text.Length, 1), CancellationToken.None);
                    }
                    catch (Exception closed) when (closed is IOException or InvalidOperationException)
                    {
                        // The scheduler has had enough of it.
                    }
                }

                await pause.WaitForNextTickAsync(CancellationToken.None);
            }
        }

        public void Dispose() => _clients.ForEach(client => client.Dispose());
    }

    /// <summary>Watches of a job of which there is no news.</summary>
    private sealed class OpenStreams(string address, string token, string job) : IDisposable
    {
        private readonly List<GrpcChannel> _channels = [];
        private readonly List<AsyncServerStreamingCall<WatchJobResponse>> _calls = [];

        public async Task<(int Open, int Refused)> OpenAsync(int count, CancellationToken cancellationToken)
        {
            var (open, refused) = (0, 0);
            for (var i = 0; i < count; i++)
            {
                if (i % StreamsAConnection == 0)
                    _channels.Add(GrpcChannel.ForAddress(address));
                try
                {
                    var headers = new Metadata { { CallMetadata.Authorization, CallMetadata.Bearer(token) } };
                    var call = new JobService.JobServiceClient(_channels[^1]).WatchJob(
                        new WatchJobRequest { JobId = job }, new CallOptions(headers, cancellationToken: cancellationToken));
                    _calls.Add(call);
                    (await call.ResponseStream.MoveNext(cancellationToken)).ShouldBeTrue();
                    open++;
                }
                catch (RpcException refusal) when (refusal.StatusCode == StatusCode.ResourceExhausted)
                {
                    refused++;
                }
            }

            return (open, refused);
        }

        public void Dispose()
        {
            _calls.ForEach(call => call.Dispose());
            _channels.ForEach(channel => channel.Dispose());
        }
    }
}

/// <summary>A cluster whose scheduler lets an owner make few calls in the long run, and at once as many as the modest one makes.</summary>
public sealed class LimitedCluster : IAsyncLifetime
{
    public LocalCluster Cluster { get; } = new()
    {
        BeforeStart = cluster =>
        {
            cluster.Configure("scheduler", "Limits__CallsPerSecond=1", "Limits__CallBurst=300");
            return Task.CompletedTask;
        },
    };

    public ValueTask InitializeAsync() => Cluster.InitializeAsync();

    public ValueTask DisposeAsync() => Cluster.DisposeAsync();
}
