using Cluster.Dashboard.Connection;
using Cluster.Dashboard.Layout;
using Microsoft.AspNetCore.Components;

namespace Cluster.Dashboard.Jobs;

/// <summary>A page that shows jobs from the board.</summary>
public abstract class BoardPage : LivePage
{
    /// <summary>Newest first.</summary>
    protected IReadOnlyList<JobRow> Rows { get; private set; } = [];

    /// <summary>Whether <see cref="Rows"/> are all jobs that there are, or as many as are kept.</summary>
    protected bool IsWhole { get; private set; }

    [Inject]
    private JobBoards Boards { get; set; } = null!;

    protected override void OnInitialized()
    {
        base.OnInitialized();
        Follow(async cancellationToken =>
        {
            await using var seat = Boards.Open(await Caller.TokenAsync());
            while (true)
            {
                // Before the rest is looked at, so that nothing that comes meanwhile is missed.
                var next = seat.Board.NextAsync();
                if (seat.Board.Fault is { } fault && !CallFault.IsPassing(fault))
                    throw fault;
                (Rows, IsWhole) = (seat.Board.Rows, seat.Board.IsWhole);
                if (seat.Board.Fault is { } away)
                    IsAway(away);
                else if (Rows.Count > 0 || IsWhole)
                    HasCome();
                await next.WaitAsync(cancellationToken);
            }
        });
    }
}
