using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Connection;
using Grpc.Core;

namespace Cluster.Dashboard.Jobs;

/// <summary>The newest jobs as all pages of one token see them, kept up to date for as long as one of these is open.</summary>
/// <remarks>
/// A final job changes no more. So each round reads those that are not final, what is newer than all known, and by itself each that was
/// not final and is not among them any more.
/// </remarks>
public sealed class JobBoard(SchedulerConnection schedulers, string token, int newestJobs, TimeProvider time)
{
    private const int LargestPage = 1_000;

    // The first rows are there at once, however many there are in all.
    private const int FirstPage = 100;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private static readonly JobState[] NotFinal =
        [JobState.Queued, JobState.Paused, JobState.Starting, JobState.Running, JobState.Stopping];

    private readonly Dictionary<string, JobRow> _rows = [];
    private TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ImmutableArray<JobRow> _newestFirst = [];
    private bool _isWhole;

    /// <summary>Newest first; at the beginning of the board's life perhaps not all that there are.</summary>
    public ImmutableArray<JobRow> Rows => _newestFirst;

    /// <summary>Whether all jobs have been read once, or as many as are kept.</summary>
    public bool IsWhole => Volatile.Read(ref _isWhole);

    /// <summary>Why the last round failed; null: it did not.</summary>
    public RpcException? Fault { get; private set; }

    /// <summary>Ends when there is more to be seen than there was at this call.</summary>
    public Task NextAsync() => Volatile.Read(ref _next).Task;

    /// <summary>Reads round by round until it is cancelled.</summary>
    public async Task KeepAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var begun = time.GetTimestamp();
            try
            {
                await RoundAsync(cancellationToken);
                Fault = null;
            }
            catch (RpcException fault)
            {
                if (cancellationToken.IsCancellationRequested)
                    return;
                Fault = fault;
            }

            Tell();
            // A round over a long queue takes its time, of the schedulers too: at most a quarter of it is spent on this.
            var took = time.GetElapsedTime(begun);
            await Task.Delay(took * 3 > Interval ? took * 3 : Interval, time, cancellationToken)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task RoundAsync(CancellationToken cancellationToken)
    {
        if (!IsWhole)
        {
            await ReadAsync([], isEnough: _ => _rows.Count >= newestJobs, cancellationToken);
            Volatile.Write(ref _isWhole, true);
            return;
        }

        var open = _rows.Values.Where(row => !row.State.IsFinal()).Select(row => row.Id).ToHashSet();
        // Before the others are read, which are not what says that nothing older is new.
        var known = _rows.Keys.ToHashSet();
        open.ExceptWith(await ReadAsync(NotFinal, isEnough: _ => false, cancellationToken));
        // After the others: a job that has come and gone in between is found here.
        open.ExceptWith(await ReadAsync([], isEnough: page => page.All(job => known.Contains(job.Id)), cancellationToken));
        foreach (var id in open)
            await ReadOneAsync(id, cancellationToken);
        Publish();
    }

    /// <returns>The ids of all that were read.</returns>
    private async Task<HashSet<string>> ReadAsync(
        IEnumerable<JobState> states, Func<IReadOnlyList<Job>, bool> isEnough, CancellationToken cancellationToken)
    {
        var read = new HashSet<string>();
        var request = new ListJobsRequest { States = { states }, PageSize = FirstPage };
        while (true)
        {
            var page = await schedulers.Jobs.ListJobsAsync(request, SchedulerConnection.Call(token, cancellationToken));
            foreach (var job in page.Jobs)
            {
                read.Add(job.Id);
                _rows[job.Id] = JobRow.Of(job);
            }

            if (!IsWhole)
            {
                Publish();
                Tell();
            }

            if (page.NextPageToken.Length == 0 || isEnough(page.Jobs))
                return read;
            (request.PageToken, request.PageSize) = (page.NextPageToken, LargestPage);
        }
    }

    private async Task ReadOneAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            var found = await schedulers.Jobs.GetJobAsync(
                new GetJobRequest { JobId = id }, SchedulerConnection.Call(token, cancellationToken));
            _rows[id] = JobRow.Of(found.Job);
        }
        catch (RpcException fault) when (fault.StatusCode == StatusCode.NotFound)
        {
            _rows.Remove(id);
        }
    }

    private void Tell() => Interlocked.Exchange(ref _next, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();

    private void Publish()
    {
        var sorted = _rows.Values.OrderByDescending(row => row.CreatedAt).ThenBy(row => row.Id, StringComparer.Ordinal).ToList();
        foreach (var old in sorted.Skip(newestJobs).Where(row => row.State.IsFinal()))
            _rows.Remove(old.Id);
        _newestFirst = [.. sorted.Take(newestJobs)];
    }
}
