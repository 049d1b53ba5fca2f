using Cluster.Worker.Collectives;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>Each operation once, by name, with enough data that it can be caught in its midst.</summary>
internal static class SomeOperation
{
    private const int Elements = 1_000_000; // several chunks in shared memory, and far more than sockets hold

    public static string[] Names =>
        [nameof(AllReduce), nameof(ReduceScatter), nameof(AllGather), nameof(Broadcast), nameof(Message), nameof(Barrier)];

    /// <summary>What two ranks send each other in it, roughly.</summary>
    public static long TrafficBytes(string operation) => operation switch
    {
        nameof(Barrier) => 48,
        nameof(Broadcast) => Elements * sizeof(float),
        _ => 2 * Elements * sizeof(float),
    };

    public static void Run(string operation, ICollectiveGroup group)
    {
        switch (operation)
        {
            case nameof(AllReduce):
                AllReduce(group);
                break;
            case nameof(ReduceScatter):
                ReduceScatter(group);
                break;
            case nameof(AllGather):
                AllGather(group);
                break;
            case nameof(Broadcast):
                Broadcast(group);
                break;
            case nameof(Message):
                Message(group);
                break;
            case nameof(Barrier):
                Barrier(group);
                break;
            default:
                throw new ArgumentException($"there is no operation '{operation}'", nameof(operation));
        }
    }

    public static void AllReduce(ICollectiveGroup group) => group.AllReduce<float>(new float[Elements], "reduce");

    public static void ReduceScatter(ICollectiveGroup group) =>
        group.ReduceScatter<float>(new float[Elements * group.WorldSize], new float[Elements], "scatter");

    public static void AllGather(ICollectiveGroup group) =>
        group.AllGather<float>(new float[Elements], new float[Elements * group.WorldSize], "gather");

    public static void Broadcast(ICollectiveGroup group) => group.Broadcast<float>(new float[Elements], 0, "broadcast");

    /// <summary>Round the ring and back.</summary>
    public static void Message(ICollectiveGroup group)
    {
        var values = new float[Elements];
        if (group.Rank == 0)
        {
            group.Send<float>(values, 1, "there");
            group.Receive(values.AsSpan(), group.WorldSize - 1, "back");
        }
        else
        {
            group.Receive(values.AsSpan(), group.Rank - 1, "there");
            group.Send<float>(values, (group.Rank + 1) % group.WorldSize, "back");
        }
    }

    public static void Barrier(ICollectiveGroup group) => group.Barrier("barrier");
}
