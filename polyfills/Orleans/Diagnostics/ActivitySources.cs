using System.Diagnostics;

namespace Orleans.Diagnostics;

/// <summary>Names of the activity sources to listen to; they speak after <c>ISiloBuilder.AddActivityPropagation()</c>.</summary>
public static class ActivitySources
{
    /// <summary>One client and one server span per call of an application's grain.</summary>
    public const string ApplicationGrainActivitySourceName = "Microsoft.Orleans.Application";

    internal static readonly ActivitySource ApplicationGrainSource = new(ApplicationGrainActivitySourceName);
}
