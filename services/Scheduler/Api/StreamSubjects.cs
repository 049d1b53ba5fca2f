using Cluster.Contracts;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Workspaces;
using Google.Protobuf;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>Finds what a stream is about: the job, experiment or checkpoint whose id its request carries.</summary>
internal sealed class StreamSubjects(
    JobQueries jobs, ExperimentStore experiments, CheckpointQueries checkpoints, WorkspaceRule workspaces)
{
    // Of which one was meant; a few more may have come since with an id that begins so.
    private const int MostMeant = 100;

    /// <returns>Null: the request names none, so that no workspace that is closed can take it from the caller.</returns>
    public StreamSubject? Of(IMessage request, ServerCallContext context)
    {
        foreach (var (field, find) in new (string, Func<IdPrefix, Visibility, CancellationToken, Task<IEnumerable<string>>>)[]
        {
            ("job_id", JobsAsync), ("experiment_id", ExperimentsAsync), ("checkpoint_id", CheckpointsAsync),
        })
        {
            if (request.Descriptor.FindFieldByName(field)?.Accessor.GetValue(request) is string text
                && IdPrefix.TryParse(text, out var prefix))
            {
                return new StreamSubject(
                    $"{field[..^"_id".Length]} {prefix}", (seen, token) => find(prefix, seen, token), () => workspaces.Seen(context));
            }
        }

        return null;
    }

    private async Task<IEnumerable<string>> JobsAsync(IdPrefix prefix, Visibility seen, CancellationToken cancellationToken) =>
        (await jobs.FindAsync(prefix, MostMeant, seen, cancellationToken)).Select(id => $"{id}");

    private async Task<IEnumerable<string>> ExperimentsAsync(IdPrefix prefix, Visibility seen, CancellationToken cancellationToken) =>
        (await experiments.FindAsync(prefix, MostMeant, seen, cancellationToken)).Select(id => $"{id}");

    private async Task<IEnumerable<string>> CheckpointsAsync(IdPrefix prefix, Visibility seen, CancellationToken cancellationToken) =>
        (await checkpoints.FindAsync(prefix, seen, cancellationToken)).Select(checkpoint => checkpoint.Id);
}

/// <summary>
/// What a stream is about, and whether its caller still sees it. Postgres is asked only when workspaces have been closed or opened since.
/// </summary>
/// <param name="what">As the caller named it.</param>
internal sealed class StreamSubject(
    string what, Func<Visibility, CancellationToken, Task<IEnumerable<string>>> find, Func<Visibility> seenNow)
{
    private readonly Visibility _first = seenNow();
    private volatile Visibility? _last;

    /// <returns>PermissionDenied: what was seen when the call began is seen no more.</returns>
    public async ValueTask<RpcException?> FindRefusalAsync(CancellationToken cancellationToken)
    {
        var now = seenNow();
        if (now.IsSameAs(_last ?? _first))
            return null;
        var before = await find(_first, cancellationToken);
        if (before.Except(await find(now, cancellationToken), StringComparer.Ordinal).Any())
        {
            return new RpcException(new Status(
                StatusCode.PermissionDenied, $"{what} lies in a workspace that has been closed to you; ask its members for a role there"));
        }

        _last = now;
        return null;
    }
}
