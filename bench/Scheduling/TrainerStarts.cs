using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Cluster.Bench.Scheduling;

/// <summary>Hears when the processes that stand for trainers begin.</summary>
internal sealed class TrainerStarts : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly UdpClient _socket = new(new IPEndPoint(IPAddress.Loopback, 0));

    public int Port => ((IPEndPoint)_socket.Client.LocalEndPoint!).Port;

    /// <summary>When the process that was started for this job began, by <see cref="UnixTime"/>. One job at a time.</summary>
    /// <exception cref="TimeoutException">None did within a minute.</exception>
    public async Task<double> OfAsync(string job, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            while (true)
            {
                var datagram = await _socket.ReceiveAsync(patience.Token);
                var words = Encoding.ASCII.GetString(datagram.Buffer).Split();
                if (words[0] == job)
                    return UnixTime.Parse(words[1]);
            }
        }
        catch (OperationCanceledException late) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"no process of job {job} began within {Patience.TotalSeconds:0} s", late);
        }
    }

    public void Dispose() => _socket.Dispose();
}
