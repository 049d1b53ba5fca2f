using System.Threading.Channels;
using Cluster.Contracts;

namespace Cluster.Scheduler.Changes;

/// <summary>
/// How a grain asks for something to be done soon without waiting for it: calls between grains go one way only (placement → job →
/// node), so that none can wait for itself.
/// </summary>
/// <remarks>A request lost with the process is made good by the next periodic pass.</remarks>
public sealed class ReconcileSignal
{
    private readonly Channel<JobId?> _requests = Channel.CreateUnbounded<JobId?>(new UnboundedChannelOptions { SingleReader = true });

    internal ChannelReader<JobId?> Requests => _requests.Reader;

    /// <summary>The job has something to do: stop trainers, conclude an attempt.</summary>
    public void Touch(JobId job) => _requests.Writer.TryWrite(job);

    /// <summary>Devices or jobs have changed so that a placement cycle may find something.</summary>
    public void Place() => _requests.Writer.TryWrite(null);
}
