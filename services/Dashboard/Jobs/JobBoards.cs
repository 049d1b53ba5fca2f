using Cluster.Dashboard.Connection;
using Cluster.Dashboard.Hosting;
using Microsoft.Extensions.Options;

namespace Cluster.Dashboard.Jobs;

/// <summary>One <see cref="JobBoard"/> a token, however many pages show it; none where nobody looks.</summary>
public sealed class JobBoards(SchedulerConnection schedulers, IOptions<DashboardOptions> options, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Kept> _boards = [];

    /// <summary>The board, until what comes back is disposed of.</summary>
    public Seat Open(string token)
    {
        lock (_gate)
        {
            if (!_boards.TryGetValue(token, out var kept))
                _boards.Add(token, kept = Kept.Begin(new JobBoard(schedulers, token, options.Value.NewestJobs, time)));
            kept.Viewers++;
            return new Seat(kept.Board, () => LeaveAsync(token, kept));
        }
    }

    private async ValueTask LeaveAsync(string token, Kept kept)
    {
        lock (_gate)
        {
            if (--kept.Viewers > 0)
                return;
            _boards.Remove(token);
        }

        await kept.Stop.CancelAsync();
        await kept.Keeping;
        kept.Stop.Dispose();
    }

    /// <summary>A viewer's place at a board.</summary>
    public sealed class Seat(JobBoard board, Func<ValueTask> leave) : IAsyncDisposable
    {
        public JobBoard Board => board;

        public ValueTask DisposeAsync() => leave();
    }

    private sealed record Kept(JobBoard Board, CancellationTokenSource Stop, Task Keeping)
    {
        public int Viewers { get; set; }

        public static Kept Begin(JobBoard board)
        {
            var stop = new CancellationTokenSource();
            return new Kept(board, stop, Task.Run(() => board.KeepAsync(stop.Token)));
        }
    }
}
