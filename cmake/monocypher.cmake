# cmake -DIN=monocypher.c -DOUT=FILE.c -P monocypher.cmake: the copy that is built (thirdparty.cmake says
# why). Ends with an error when a line is not where it was: then look at the new release.
file(READ ${IN} text)

function(change from to)
    string(FIND "${text}" "${from}" at)
    if(at EQUAL -1)
        message(FATAL_ERROR "${IN}: no \"${from}\"")
    endif()
    string(REPLACE "${from}" "${to}" text "${text}")
    set(text "${text}" PARENT_SCOPE)
endfunction()

change("#define P_W_WIDTH 3 " "#define P_W_WIDTH 2 ")
change("#define B_W_WIDTH 5 " "#define B_W_WIDTH 4 ")
change("static const ge_precomp b_window[8] = {" "static const ge_precomp b_window[4] = {") # the rest falls off

# The body of fe_sq().
set(head "static void fe_sq(fe h, const fe f)\n{\n")
string(FIND "${text}" "${head}" start)
string(LENGTH "${head}" length)
if(start EQUAL -1)
    message(FATAL_ERROR "${IN}: no fe_sq()")
endif()
math(EXPR start "${start} + ${length}")
string(SUBSTRING "${text}" 0 ${start} before)
string(SUBSTRING "${text}" ${start} -1 behind)
string(FIND "${behind}" "\n}\n" end)
string(SUBSTRING "${behind}" ${end} -1 behind)
file(WRITE ${OUT} "${before}\tfe_mul(h, f, f);${behind}")
