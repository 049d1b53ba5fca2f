namespace Cluster.Models;

/// <summary>A model's name or one of its options is wrong; the message names it, its value and the remedy.</summary>
public sealed class ModelOptionException(string message) : ArgumentException(message);
