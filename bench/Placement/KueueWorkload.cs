namespace Cluster.Bench.Placement;

/// <summary>A load that Kueue's scheduler is measured with (its repository, test/performance/scheduler/configs), in our terms.</summary>
/// <param name="PublishedRate">Admissions a second that Kueue 0.19 reports of it.</param>
/// <param name="Classes">What each queue is sent.</param>
internal sealed record KueueWorkload(
    string Name, double PublishedRate, int Queues, int Nodes, int DevicesPerNode, int Racks, IReadOnlyList<WorkloadClass> Classes)
{
    /// <summary>What Kueue's configuration says a queue may borrow of its cohort.</summary>
    public const int BorrowingLimit = 100;

    // A queue's quota of 20 is a node of 20 devices: what Kueue counts, we place. Where Kueue places too, its nodes are ours.
    public static IReadOnlyList<KueueWorkload> Published { get; } =
    [
        new("15,000 jobs over 30 queues", 42.7, Queues: 30, Nodes: 30, DevicesPerNode: 20, Racks: 1, Flat(350, 100, 50)),
        new("15,000 jobs over 30 queues with quotas", 42.7, Queues: 30, Nodes: 30, DevicesPerNode: 20, Racks: 1, Flat(350, 100, 50))
        {
            Cohorts = 5,
        },
        new("50,000 jobs over 1,000 queues", 42.4, Queues: 1000, Nodes: 1000, DevicesPerNode: 20, Racks: 1, Flat(35, 10, 5)),
        new("15,000 gangs on 640 nodes in 10 racks", 37.4, Queues: 6, Nodes: 640, DevicesPerNode: 96, Racks: 10, Gangs()),
    ];

    /// <summary>So many groups of queues in which one borrows what another leaves idle, and gives it back; 0: one line, no quota.</summary>
    public int Cohorts { get; init; }

    private static IReadOnlyList<WorkloadClass> Flat(int small, int medium, int large) =>
    [
        new(small, Devices: 1, Priority: 50, EveryMs: 100, RuntimeMs: 200),
        new(medium, Devices: 5, Priority: 100, EveryMs: 500, RuntimeMs: 500),
        new(large, Devices: 20, Priority: 200, EveryMs: 1200, RuntimeMs: 1000),
    ];

    /// <summary>The mixture of Kueue's topology load, whose pods of several cores are so many devices on one node.</summary>
    private static IReadOnlyList<WorkloadClass> Gangs() =>
    [
        new(715, Devices: 4 * 2, Priority: 50, EveryMs: 200, RuntimeMs: 10_000) { InOneRack = true },
        new(429, Devices: 8 * 4, Priority: 100, EveryMs: 500, RuntimeMs: 15_000) { InOneRack = true },
        new(286, Devices: 16 * 8, Priority: 200, EveryMs: 1000, RuntimeMs: 20_000) { InOneRack = true },
        new(429, Devices: 4 * 2, Priority: 100, EveryMs: 300, RuntimeMs: 12_000),
        new(286, Devices: 8 * 4, Priority: 150, EveryMs: 400, RuntimeMs: 16_000),
        new(213, Devices: 16 * 4, Priority: 200, EveryMs: 600, RuntimeMs: 18_000) { MaxPerNode = 16 },
        new(142, Devices: 32 * 8, Priority: 250, EveryMs: 800, RuntimeMs: 25_000) { MaxPerNode = 64 },
    ];
}

/// <param name="Count">Of each queue.</param>
/// <param name="EveryMs">Time between two of a queue, in ms.</param>
internal sealed record WorkloadClass(int Count, int Devices, int Priority, int EveryMs, int RuntimeMs)
{
    /// <summary>0: no limit.</summary>
    public int MaxPerNode { get; init; }

    /// <summary>Each is sent to a rack, in turn: which one to choose is not for our placement to say yet.</summary>
    public bool InOneRack { get; init; }
}
