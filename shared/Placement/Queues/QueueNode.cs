using System.Collections.Immutable;

namespace Cluster.Placement.Queues;

/// <summary>A queue in the tree, with what its jobs and those of the queues below it use.</summary>
internal sealed class QueueNode
{
    private static readonly DeviceClass[] AllKinds = Enum.GetValues<DeviceClass>();

    private readonly QueueSpec _spec;
    private readonly long[] _nominal = new long[2];
    private readonly long[] _used = new long[2];
    private readonly long[] _leaving = new long[2];

    // Quotas that are not lent and not used either, of the children: each one's own, or what those below it keep.
    private readonly long[] _keptBelow = new long[2];
    private readonly Dictionary<(string Owner, DeviceClass Kind), long> _byOwner = [];

    public QueueNode(QueueSpec spec, QueueNode? parent)
    {
        (_spec, Parent) = (spec, parent);
        parent?.Children.Add(this);
        Path = [.. Upwards()];
        IsLimited = LimitsOwners || spec.Quotas.Values.Any(quota => quota.BorrowingLimit is not null) || parent?.IsLimited == true;
    }

    public QueueKey Key => _spec.Key;

    public QueueNode? Parent { get; }

    public List<QueueNode> Children { get; } = [];

    /// <summary>The queue itself first, then those that it lies in, without the root.</summary>
    public ImmutableArray<QueueNode> Path { get; }

    public double Weight => _spec.Weight;

    public bool LimitsOwners => _spec.OwnerLimits.Count > 0;

    /// <summary>It, or one that it lies in, has a limit of its own or of owners.</summary>
    public bool IsLimited { get; }

    public PastUse Past { get; set; } = PastUse.None;

    /// <summary>What is owed to it: its own quota, or else those of its children together.</summary>
    public long Nominal(DeviceClass kind) => _nominal[(int)kind];

    public long Used(DeviceClass kind) => _used[(int)kind];

    /// <summary>Without what its jobs have been told to release.</summary>
    public long Staying(DeviceClass kind) => _used[(int)kind] - _leaving[(int)kind];

    public long Borrowed(DeviceClass kind) => Math.Max(0, Used(kind) - Nominal(kind));

    /// <summary>What others may not use though it is idle.</summary>
    public long Kept(DeviceClass kind)
    {
        var unlent = _spec.Quotas.TryGetValue(kind, out var quota) && quota.LendingLimit is { } lent ? quota.Nominal - lent : 0;
        return Math.Max(Math.Max(0, unlent - Staying(kind)), _keptBelow[(int)kind]);
    }

    /// <summary>What its siblings may not use though it is idle.</summary>
    public long KeptBySiblings(DeviceClass kind) => Parent is null ? 0 : Parent._keptBelow[(int)kind] - Kept(kind);

    /// <summary>The most that it may use; null: no limit.</summary>
    public long? Ceiling(DeviceClass kind) =>
        _spec.Quotas.TryGetValue(kind, out var quota) && quota.BorrowingLimit is { } most ? (long)quota.Nominal + most : null;

    public int? OwnerLimit(DeviceClass kind) => _spec.OwnerLimits.TryGetValue(kind, out var limit) ? limit : null;

    public long UsedBy(string owner, DeviceClass kind) => _byOwner.GetValueOrDefault((owner, kind));

    public bool IsWithin(QueueNode other) => other.Parent is null || Path.Contains(other);

    /// <summary>Once all children are there.</summary>
    public void Settle()
    {
        Children.ForEach(child => child.Settle());
        foreach (var kind in AllKinds)
        {
            _nominal[(int)kind] = _spec.Quotas.TryGetValue(kind, out var quota)
                ? quota.Nominal : Children.Sum(child => child.Nominal(kind));
            _keptBelow[(int)kind] = Children.Sum(child => child.Kept(kind));
        }
    }

    /// <summary>So many devices more are used, of this queue and all that it lies in; less if negative.</summary>
    public void Charge(string owner, DeviceClass kind, long devices)
    {
        foreach (var queue in Path)
        {
            if (queue.OwnerLimit(kind) is not null)
                queue._byOwner[(owner, kind)] = queue.UsedBy(owner, kind) + devices;
        }

        Change(kind, devices, leaving: 0, keptBelow: 0);
    }

    /// <summary>So many of the devices in use are on their way out.</summary>
    public void Leave(DeviceClass kind, long devices) => Change(kind, used: 0, devices, keptBelow: 0);

    public string Describe() =>
        $"{_spec.Describe()} used {string.Join(' ', _used)} leaving {string.Join(' ', _leaving)} {Past} "
        + string.Join(", ", _byOwner.Where(o => o.Value != 0).OrderBy(o => o.Key.Owner, StringComparer.Ordinal).ThenBy(o => o.Key.Kind)
            .Select(o => $"{o.Key.Owner} {o.Key.Kind} {o.Value}"));

    private void Change(DeviceClass kind, long used, long leaving, long keptBelow)
    {
        var kept = Kept(kind);
        _used[(int)kind] += used;
        _leaving[(int)kind] += leaving;
        _keptBelow[(int)kind] += keptBelow;
        Parent?.Change(kind, used, leaving, Kept(kind) - kept);
    }

    private IEnumerable<QueueNode> Upwards()
    {
        for (var node = this; node.Parent is not null; node = node.Parent)
            yield return node;
    }
}
