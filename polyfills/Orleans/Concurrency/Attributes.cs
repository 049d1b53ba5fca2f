namespace Orleans.Concurrency;

/// <summary>The method changes nothing: it may run between the turns of other methods marked so.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ReadOnlyAttribute : Attribute;

/// <summary>The method may run between the turns of any other request. Put it on the interface's method.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class AlwaysInterleaveAttribute : Attribute;

/// <summary>Requests to this grain class may run between each other's turns; still one turn at a time.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class ReentrantAttribute : Attribute;

/// <summary>The caller's task ends once the request is queued; result and exception are dropped.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class OneWayAttribute : Attribute;
