using System.Net;
using System.Net.Sockets;
using Cluster.Tests.Shared;

namespace Cluster.Cli.Tests.Connection;

/// <summary>Of several schedulers one answers; the others are gone, in the two ways in which a machine can be.</summary>
public sealed class SeveralAddressesTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Switched off, or cut off: nothing says that nobody is there.</summary>
    [Fact]
    public async Task Call_WhoseFirstAddressDoesNotAnswer_GoesToTheNext()
    {
        await using var cluster = await FakeCluster.StartAsync();
        using var silent = await SilentPort.OpenAsync(Cancellation);

        await ListsAsync($"http://127.0.0.1:{silent.Port},{cluster.Address}");
    }

    [Fact]
    public async Task Call_WhoseOtherAddressesRefuse_GoesToTheOneThatDoesNot()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var refusing = $"http://127.0.0.1:{FreePorts.Take()}";

        await ListsAsync($"{refusing},{cluster.Address},{refusing}");
    }

    [Fact]
    public async Task Call_ThatNobodyAnswers_SaysSo()
    {
        var refusing = $"http://127.0.0.1:{FreePorts.Take()}";
        var run = new CliRun().With("CLUSTER_SERVER", $"{refusing},{refusing}");

        (await run.RunAsync(Cancellation, "node", "list")).ShouldNotBe(ExitCode.Done);
        run.Error.ShouldContain(refusing);
    }

    private static async Task ListsAsync(string addresses)
    {
        var run = new CliRun().With("CLUSTER_SERVER", addresses);
        (await run.RunAsync(Cancellation, "node", "list")).ShouldBe(ExitCode.Done, run.Error);
    }

    /// <summary>Its queue of connections is full, so the kernel answers no further one.</summary>
    private sealed class SilentPort : IDisposable
    {
        private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        private readonly List<Socket> _clients = [];

        public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

        public static async Task<SilentPort> OpenAsync(CancellationToken cancellationToken)
        {
            var port = new SilentPort();
            port._listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            port._listener.Listen(0);
            // Linux takes one more than it is told; what comes after that waits.
            for (var i = 0; i < 3; i++)
            {
                var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                port._clients.Add(client);
                var connecting = client.ConnectAsync(port._listener.LocalEndPoint!, cancellationToken).AsTask();
                await Task.WhenAny(connecting, Task.Delay(TimeSpan.FromMilliseconds(500), cancellationToken));
            }

            return port;
        }

        public void Dispose()
        {
            _clients.ForEach(client => client.Dispose());
            _listener.Dispose();
        }
    }
}
