using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Cluster.Tests.Shared;

/// <summary>Ports for what a test starts later, in this process or in one of its own. Nothing listens on them.</summary>
/// <remarks>
/// A port that was only seen to be free may be another's a moment later: the kernel gives it to any connection that is made, on a busy
/// machine even to one that is made to this very port. So each is kept with a bound socket for as long as the tests run. The kernel then
/// gives it to nobody, and yet lets a socket listen on it that may reuse addresses, as .NET's do, since the one that keeps it does not
/// listen.
/// </remarks>
internal static class FreePorts
{
    private static readonly ConcurrentBag<Socket> Kept = [];

    public static int Take() => Take(1);

    /// <summary>The first of some that are so far apart from each other.</summary>
    public static int Take(int count, int apart = 1)
    {
        while (true)
        {
            var first = Keep(0);
            if (first is { } port && Enumerable.Range(1, count - 1).All(further => Keep(port + (further * apart)) is not null))
                return port;
        }
    }

    /// <returns>Null when the port is another's.</returns>
    private static int? Keep(int port)
    {
        if (port > IPEndPoint.MaxPort)
            return null;
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Any, port));
            Kept.Add(socket);
            return ((IPEndPoint)socket.LocalEndPoint!).Port;
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
    }
}
