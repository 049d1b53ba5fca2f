namespace Cluster.Placement.Queues;

/// <summary>The declared queues, and the default one, under a root that is the cluster.</summary>
internal sealed class QueueTree
{
    private static readonly QueueKey RootKey = new("");

    private readonly Dictionary<QueueKey, QueueSpec> _specs = [];
    private readonly Dictionary<QueueKey, PastUse> _past = [];
    private readonly Dictionary<QueueKey, QueueNode> _nodes = [];

    // Of a queue that has others below it: where the jobs wait that name it.
    private readonly Dictionary<QueueKey, QueueNode> _own = [];

    public QueueTree() => Build();

    public QueueNode Root { get; private set; } = null!;

    /// <summary>Nobody has declared a queue: all jobs wait in one line.</summary>
    public bool IsOneLine => _specs.Count == 0;

    public IReadOnlyCollection<QueueNode> Declared => _nodes.Values;

    /// <summary>Where a job waits that names this queue.</summary>
    public QueueNode LineOf(QueueKey queue) => _own.GetValueOrDefault(queue) ?? _nodes.GetValueOrDefault(queue)
        ?? _own.GetValueOrDefault(QueueKey.Default) ?? _nodes[QueueKey.Default];

    /// <summary>Nothing is charged to any queue afterwards: the caller does that anew.</summary>
    public void Put(QueueSpec spec)
    {
        _specs[spec.Key] = spec;
        Build();
    }

    /// <inheritdoc cref="Put"/>
    public void Remove(QueueKey queue)
    {
        _specs.Remove(queue);
        _past.Remove(queue);
        Build();
    }

    public bool Contains(QueueSpec spec) => _specs.TryGetValue(spec.Key, out var known) && known.Describe() == spec.Describe();

    public void Use(QueueKey queue, PastUse past)
    {
        _past[queue] = past;
        if (_nodes.TryGetValue(queue, out var node))
            node.Past = past;
    }

    public string Describe() => string.Join('\n', _nodes.Values.Append(Root).Select(node => node.Describe()));

    private void Build()
    {
        _nodes.Clear();
        _own.Clear();
        Root = new QueueNode(new QueueSpec(RootKey), null);
        var waiting = _specs.Values.ToDictionary(spec => spec.Key);
        waiting.TryAdd(QueueKey.Default, new QueueSpec(QueueKey.Default));
        foreach (var spec in waiting.Values.OrderBy(spec => spec.Key.Name, StringComparer.Ordinal).ToList())
            Add(spec, waiting);
        foreach (var node in _nodes.Values.Where(node => node.Children.Count > 0).ToList())
            _own.Add(node.Key, new QueueNode(new QueueSpec(node.Key), node));
        Root.Settle();
    }

    /// <summary>The parent first. One whose parent is not declared, or lies in it, hangs under the root.</summary>
    private QueueNode Add(QueueSpec spec, Dictionary<QueueKey, QueueSpec> waiting)
    {
        if (_nodes.TryGetValue(spec.Key, out var known))
            return known;
        waiting.Remove(spec.Key);
        var parent = spec.Parent is not { } above ? null
            : _nodes.GetValueOrDefault(above) ?? (waiting.TryGetValue(above, out var next) ? Add(next, waiting) : null);
        var node = new QueueNode(spec, parent ?? Root) { Past = _past.GetValueOrDefault(spec.Key, PastUse.None) };
        _nodes.Add(spec.Key, node);
        return node;
    }
}
