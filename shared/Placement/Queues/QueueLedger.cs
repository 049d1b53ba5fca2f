namespace Cluster.Placement.Queues;

/// <summary>What a cycle has queues use, as it decides. It is taken back when this is disposed of.</summary>
internal sealed class QueueLedger : IDisposable
{
    private readonly List<(QueueNode Queue, string Owner, DeviceClass Kind, long Devices)> _charged = [];
    private readonly List<(QueueNode Queue, DeviceClass Kind, long Devices)> _leaving = [];

    private readonly long[] _promised = new long[2];

    /// <summary>Of what is charged, devices that are not given yet.</summary>
    public long Promised(DeviceClass kind) => _promised[(int)kind];

    /// <summary>Charges devices that are on their way to a job.</summary>
    public void Promise(QueueNode queue, string owner, DeviceClass kind, long devices)
    {
        Charge(queue, owner, kind, devices);
        _promised[(int)kind] += devices;
    }

    public void Charge(QueueNode queue, string owner, DeviceClass kind, long devices)
    {
        queue.Charge(owner, kind, devices);
        _charged.Add((queue, owner, kind, devices));
    }

    public void Leave(QueueNode queue, DeviceClass kind, long devices)
    {
        queue.Leave(kind, devices);
        _leaving.Add((queue, kind, devices));
    }

    public void Dispose()
    {
        foreach (var (queue, owner, kind, devices) in _charged)
            queue.Charge(owner, kind, -devices);
        foreach (var (queue, kind, devices) in _leaving)
            queue.Leave(kind, -devices);
    }
}
