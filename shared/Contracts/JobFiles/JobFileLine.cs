namespace Cluster.Contracts.JobFiles;

/// <summary>A line of a job file that has every value written down.</summary>
/// <param name="Path">"hyperparameters.optimizer.name"; of each line of a list, the list's.</param>
/// <param name="IsGiven">Somebody wrote it, or something under it; false where it is a default, or where that is not known.</param>
/// <param name="OpensMore">It has no value of its own: what it holds stands in the lines after it.</param>
public sealed record JobFileLine(string Path, string Text, bool IsGiven, bool OpensMore);
