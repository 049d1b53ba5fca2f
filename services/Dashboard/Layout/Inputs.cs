using Microsoft.AspNetCore.Components;

namespace Cluster.Dashboard.Layout;

internal static class Inputs
{
    /// <summary>What a field holds now.</summary>
    public static string Text(this ChangeEventArgs change) => change.Value as string ?? "";
}
