using System.Collections;

namespace Grpc.AspNetCore.HealthChecks;

/// <summary>Which health checks make up which service's state.</summary>
public sealed class GrpcHealthChecksOptions
{
    public ServiceMappingCollection Services { get; } = new();

    /// <summary>Whether <c>Check</c> answers with the last published report instead of running the checks. Off by default.</summary>
    public bool UseHealthChecksCache { get; set; }

    /// <summary>Whether <c>Watch</c> calls go on while the server stops. Off by default: they end, so that the server can.</summary>
    public bool SuppressCompletionOnShutdown { get; set; }
}

/// <summary>One health check, as a mapping's predicate sees it.</summary>
public sealed class HealthCheckMapContext(string name, IEnumerable<string> tags)
{
    public string Name { get; } = name;

    public IEnumerable<string> Tags { get; } = tags;
}

/// <summary>A service's name and the health checks that count for it.</summary>
public sealed class ServiceMapping(string name, Func<HealthCheckMapContext, bool> predicate)
{
    public string Name { get; } = name;

    public Func<HealthCheckMapContext, bool>? HealthCheckPredicate { get; } = predicate;

    internal bool Includes(string check, IEnumerable<string> tags) => HealthCheckPredicate!(new HealthCheckMapContext(check, tags));
}

public sealed class ServiceMappingCollection : ICollection<ServiceMapping>
{
    private readonly Dictionary<string, ServiceMapping> mappings = new(StringComparer.Ordinal);

    public int Count => mappings.Count;

    bool ICollection<ServiceMapping>.IsReadOnly => false;

    /// <summary>Maps a service, in place of an earlier mapping of that name.</summary>
    public void Map(string name, Func<HealthCheckMapContext, bool> predicate) => mappings[name] = new ServiceMapping(name, predicate);

    /// <exception cref="ArgumentException">The name is mapped already.</exception>
    public void Add(ServiceMapping service) => mappings.Add(service.Name, service);

    public void Remove(string name) => mappings.Remove(name);

    public void Clear() => mappings.Clear();

    bool ICollection<ServiceMapping>.Contains(ServiceMapping item) => mappings.ContainsValue(item);

    void ICollection<ServiceMapping>.CopyTo(ServiceMapping[] array, int arrayIndex) => mappings.Values.CopyTo(array, arrayIndex);

    bool ICollection<ServiceMapping>.Remove(ServiceMapping item) => mappings.ContainsValue(item) && mappings.Remove(item.Name);

    public IEnumerator<ServiceMapping> GetEnumerator() => mappings.Values.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    internal ServiceMapping? Find(string name) => mappings.GetValueOrDefault(name);
}
