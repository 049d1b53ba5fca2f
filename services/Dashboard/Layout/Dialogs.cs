using Microsoft.FluentUI.AspNetCore.Components;

namespace Cluster.Dashboard.Layout;

internal static class Dialogs
{
    /// <summary>Asks before something is done that others feel, or that cannot be undone.</summary>
    /// <param name="act">What the button says that does it.</param>
    public static async Task<bool> ConfirmAsync(this IDialogService dialogs, string question, string explanation, string act) =>
        await dialogs.AskAsync<ConfirmDialog, bool>(new()
        {
            [nameof(ConfirmDialog.Asks)] = question,
            [nameof(ConfirmDialog.Explanation)] = explanation,
            [nameof(ConfirmDialog.Act)] = act,
        });

    /// <summary>Shows a dialog.</summary>
    /// <param name="parameters">Of the dialog's component.</param>
    /// <returns>Its answer; default: all is left as it is.</returns>
    public static async Task<TAnswer?> AskAsync<TDialog, TAnswer>(
        this IDialogService dialogs, Dictionary<string, object?> parameters)
        where TDialog : PageDialog
    {
        var result = await dialogs.ShowDialogAsync<TDialog>(options => options.Parameters = parameters);
        return result.Cancelled ? default : result.GetValue<TAnswer>();
    }
}
