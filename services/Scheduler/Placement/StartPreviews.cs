using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Placement.Forecasts;
using Cluster.Scheduler.Capacity;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Scheduler.Placement;

/// <summary>Where a job would start if it were submitted now.</summary>
internal static class StartPreviews
{
    /// <summary>Decides as if the job had just been queued, and leaves the state as it was.</summary>
    /// <returns>The answer, where a job that waits still lacks when it is expected to start; and what tells that, else null.</returns>
    public static (StartPreview Preview, PendingForecast? When) Of(
        ClusterState state, WaitingJob asked, DateTimeOffset now, PlacementPolicy policy, ExpectedStarts expected)
    {
        state.Apply(new ClusterChange.JobQueued(asked));
        try
        {
            var plan = state.Decide(now, policy);
            return plan.Starts.FirstOrDefault(start => start.Job == asked.Id) is { } start
                ? (Started(start, now), null)
                : (Waits(state, asked, plan), expected.Prepare(state, plan, now, policy));
        }
        finally
        {
            state.Apply(new ClusterChange.JobEnded(asked.Id));
        }
    }

    /// <summary>Adds when the job is expected to start, if that is known.</summary>
    public static void Add(StartPreview preview, WaitingJob asked, Forecast starts)
    {
        if (starts.Jobs.FirstOrDefault(each => each.Job == asked.Id) is not { } forecast)
            return;
        preview.Position = forecast.Position;
        (preview.Likely, preview.Late) = (forecast.Start.Likely.ToTimestamp(), forecast.Start.Late.ToTimestamp());
        preview.Sooner.AddRange(forecast.Sooner);
    }

    private static StartPreview Started(JobStart start, DateTimeOffset now) => new()
    {
        Placement =
        {
            start.Ranks.Select((rank, number) => new DevicePlacement
            {
                Rank = number,
                NodeId = rank.Node.Value.ToString("D"),
                NodeName = rank.NodeName,
                Device = rank.Device,
            }),
        },
        Likely = now.ToTimestamp(),
        Late = now.ToTimestamp(),
    };

    private static StartPreview Waits(ClusterState state, WaitingJob asked, PlacementPlan plan)
    {
        var preview = new StartPreview();
        if (state.ShapeOf(asked.Id) is { } own && plan.Waiting.FirstOrDefault(shape => (shape.Queue, shape.Shape) == own) is { } verdict)
            (preview.Reason, preview.ReasonCode) = (verdict.Reason.Words, verdict.Reason.Cause.Code());
        return preview;
    }
}

/// <summary>A job that is not stored: its spec, owner and memory.</summary>
[GenerateSerializer, Immutable, Alias("cluster.PreviewOrder")]
public sealed record PreviewOrder([property: Id(0)] ImmutableArray<byte> Job)
{
    public static PreviewOrder For(Job job) => new(ImmutableCollectionsMarshal.AsImmutableArray(job.ToByteArray()));

    public Job Read() => Contracts.V1.Job.Parser.ParseFrom(Job.AsSpan());
}

[GenerateSerializer, Immutable, Alias("cluster.PreviewAnswer")]
public sealed record PreviewAnswer([property: Id(0)] ImmutableArray<byte> Start)
{
    public static PreviewAnswer Of(StartPreview start) => new(ImmutableCollectionsMarshal.AsImmutableArray(start.ToByteArray()));

    public StartPreview Read() => StartPreview.Parser.ParseFrom(Start.AsSpan());
}
