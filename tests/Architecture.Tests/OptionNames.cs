using System.Reflection;

namespace Cluster.Architecture.Tests;

/// <summary>Every setting that the programs read, as the environment spells it: "Section__Property".</summary>
internal static class OptionNames
{
    private static readonly string[] Assemblies = ["Cluster.Contracts", "Cluster.Scheduler", "Cluster.Worker", "Cluster.Dashboard"];

    public static IReadOnlySet<string> All { get; } = Assemblies
        .SelectMany(assembly => Assembly.Load(assembly).GetTypes())
        .Select(type =>
            (type, section: type.GetField("SectionName", BindingFlags.Public | BindingFlags.Static)?.GetRawConstantValue() as string))
        .Where(options => options.section is not null)
        .SelectMany(options => options.type.GetProperties()
            .Select(property => $"{options.section!.Replace(":", "__", StringComparison.Ordinal)}__{property.Name}"))
        .ToHashSet();
}
