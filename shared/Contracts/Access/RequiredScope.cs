using Cluster.Contracts.V1;
using Google.Protobuf.Reflection;

namespace Cluster.Contracts.Access;

/// <summary>Reads the scope that an RPC declares in its proto, and says which tokens satisfy it.</summary>
public static class RequiredScope
{
    /// <summary>The method's <c>required_scope</c>.</summary>
    /// <exception cref="InvalidOperationException">The RPC declares none; every RPC of cluster.v1 must.</exception>
    public static Scope Of(MethodDescriptor method)
    {
        var scope = method.GetOptions()?.GetExtension(AccessExtensions.RequiredScope) ?? Scope.Unspecified;
        return scope == Scope.Unspecified
            ? throw new InvalidOperationException($"{method.FullName} declares no required_scope; add the option to its proto")
            : scope;
    }

    /// <summary>Every RPC of cluster.v1, by the path that its calls carry: "/cluster.v1.JobService/GetJob".</summary>
    public static IReadOnlyDictionary<string, Scope> ByPath { get; } = Services()
        .SelectMany(service => service.Methods)
        .ToDictionary(method => $"/{method.Service.FullName}/{method.Name}", Of, StringComparer.Ordinal);

    /// <summary>
    /// Whether a token of scope <paramref name="held"/> may call what needs <paramref name="needed"/>: people's scopes include those
    /// before them; node, attempt and enrollment stand apart.
    /// </summary>
    public static bool Allows(this Scope held, Scope needed) =>
        IsPersons(held) && IsPersons(needed) ? held >= needed : held == needed && held != Scope.Unspecified;

    private static bool IsPersons(Scope scope) => scope is Scope.Viewer or Scope.Submitter or Scope.Operator or Scope.Admin;

    /// <summary>Every service of cluster.v1.</summary>
    public static IEnumerable<ServiceDescriptor> Services() =>
        new[]
        {
            AuditReflection.Descriptor, CheckpointsReflection.Descriptor, DataReflection.Descriptor, ExperimentsReflection.Descriptor,
            JobsReflection.Descriptor, ModelsReflection.Descriptor, NodesReflection.Descriptor, QueuesReflection.Descriptor,
            ReportsReflection.Descriptor, RunsReflection.Descriptor, TokensReflection.Descriptor, WebhooksReflection.Descriptor,
            WorkersReflection.Descriptor, WorkspacesReflection.Descriptor,
        }
            .SelectMany(file => file.Services);
}
