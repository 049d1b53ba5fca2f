using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>Ports that nothing listens on, each given once in a test run.</summary>
internal static class FreePorts
{
    private static readonly ConcurrentDictionary<int, bool> Taken = new();

    public static int Take()
    {
        while (true)
        {
            using var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            var port = ((IPEndPoint)listener.LocalEndpoint).Port;
            if (Taken.TryAdd(port, true))
                return port;
        }
    }
}
